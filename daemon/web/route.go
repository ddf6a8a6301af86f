package web

import "net/http"

// Role is who is asking. Being on the loopback interface grants nothing.
type Role int

// The roles, each with what its holder may do.
const (
	Anyone  Role = iota // reads pages, chats within limits, cuts pictures
	Visitor             // scanned the wall's code: steers the scene and draws
	Kiosk               // holds the runtime token: shows the wall
	Owner               // holds the owner's secret: moderates, curates, configures
)

// Route is one row of the table of routes that package daemon builds; the
// adversarial tests walk the same table.
type Route struct {
	Method  string // "GET" (which serves HEAD too), "POST", ...
	Pattern string // a pattern of net/http.ServeMux, without the method
	Role    Role   // the least role that may use it
	Streams bool   // long-lived: no write timeout, ended when the daemon stops
	Handler http.Handler
}

// RoleOf is the role that the middleware established for this request.
func RoleOf(r *http.Request) Role { return Anyone }
