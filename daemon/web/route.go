package web

import (
	"context"
	"net/http"
)

// Role is who is asking. Being on the loopback interface grants nothing.
type Role int

// The roles, each with what its holder may do, and what the one before may.
const (
	Anyone  Role = iota // reads pages, chats within limits, cuts pictures
	Visitor             // scanned the wall's code: steers the scene and draws
	Kiosk               // holds the runtime token: shows the wall
	Owner               // holds the owner's secret: moderates, curates, configures
)

// String is the role's name as users read it.
func (r Role) String() string {
	switch r {
	case Anyone:
		return "anyone"
	case Visitor:
		return "visitor"
	case Kiosk:
		return "kiosk"
	case Owner:
		return "owner"
	}
	return "unknown role"
}

// Route is one row of the table of routes that package daemon builds; the
// adversarial test (Audit) walks the same table.
type Route struct {
	Method  string // "GET" (which serves HEAD too), "POST", ...
	Pattern string // a pattern of net/http.ServeMux, without the method
	Role    Role   // the least role that may use it
	Streams bool   // long-lived: no write timeout, ended when the daemon stops
	Encodes bool   // compresses its answers itself, once for all who ask
	MaxBody int64  // bytes of request body; 0 means 1 MiB (see http.MaxBytesReader)
	Handler http.Handler
}

type roleKey struct{}

// RoleOf is the role that the middleware established for this request.
func RoleOf(r *http.Request) Role {
	role, _ := r.Context().Value(roleKey{}).(Role)
	return role
}

// Identity tells a request's role from what it carries, Anyone when it carries
// nothing. *OwnerDoor and *KioskDoor are identities.
type Identity interface {
	Identify(r *http.Request) Role
}

// Ending is an Identity whose role may end while a request lasts: a stream that was let in by it
// ends with the context of its session.
type Ending interface {
	Identity
	Session(r *http.Request) context.Context // nil: none
}

type sessionKey struct{}

func withRole(r *http.Request, ids []Identity) *http.Request {
	role := Anyone
	var session context.Context
	for _, id := range ids {
		got := id.Identify(r)
		if got <= role {
			continue
		}
		role, session = got, nil
		if e, ok := id.(Ending); ok {
			session = e.Session(r)
		}
	}
	if role == Anyone {
		return r // what RoleOf says of a request without one
	}
	ctx := context.WithValue(r.Context(), roleKey{}, role)
	if session != nil {
		ctx = context.WithValue(ctx, sessionKey{}, session)
	}
	return r.WithContext(ctx)
}
