package web

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

const (
	// KioskTokenFile is the file in the runtime folder that holds the token.
	KioskTokenFile = "kiosk-token"
	// KioskSignIn is where the kiosk's browser starts: it turns ?token= into a
	// cookie and goes on to /kiosk, so that no address with a token stays behind.
	// ?output=HDMI-1 and ?view= are taken along.
	KioskSignIn = "/kiosk/sign-in"
	// KioskHeader carries the token for a client that keeps no cookies.
	KioskHeader = "X-Sierpi-Kiosk"

	kioskCookie = "sierpi-kiosk"
)

// KioskDoor is how the machine's own screen comes in: a token in a runtime file
// that only the daemon and the kiosk user's group read.
type KioskDoor struct{ token string }

// OpenKioskDoor writes a new token into dir (RUNTIME_DIRECTORY), 0640; the group is
// the folder's where the folder is set-group-ID, else the daemon's. A token that
// is there is kept: the folder lives no longer than the boot, and a wall whose
// browser runs on while the daemon restarts must not be locked out.
func OpenKioskDoor(dir string) (*KioskDoor, error) {
	path := filepath.Join(dir, KioskTokenFile)
	if st, err := os.Lstat(path); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o027 == 0 {
		if old, err := os.ReadFile(path); err == nil && len(old) == 65 && old[64] == '\n' {
			return &KioskDoor{token: string(old[:64])}, nil
		}
	}
	k := &KioskDoor{token: randomHex(32)}
	if err := replaceFile(path, []byte(k.token+"\n"), 0o640); err != nil {
		return nil, fmt.Errorf("the kiosk's token: %w", err)
	}
	return k, nil
}

// Identify is Kiosk for a request that carries the token.
func (k *KioskDoor) Identify(r *http.Request) Role {
	given := r.Header.Get(KioskHeader)
	if given == "" {
		if c, err := r.Cookie(kioskCookie); err == nil {
			given = c.Value
		}
	}
	if k.opens(given) {
		return Kiosk
	}
	return Anyone
}

func (k *KioskDoor) opens(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(k.token)) == 1
}

// Routes is the kiosk's way in.
func (k *KioskDoor) Routes(look *Look) []Route {
	return []Route{{Method: "GET", Pattern: KioskSignIn, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !k.opens(r.URL.Query().Get("token")) {
			look.Error(w, r, http.StatusUnauthorized, "This is not the kiosk's token.", "The kiosk reads it from the file "+KioskTokenFile+" in the daemon's runtime folder at each start.")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		setCookie(w, r, kioskCookie, k.token, 0)
		// Which of the machine's outputs it is on goes with it; the token does not.
		kept := url.Values{}
		for _, name := range []string{"output", "view"} {
			if v := r.URL.Query().Get(name); v != "" {
				kept.Set(name, v)
			}
		}
		to := url.URL{Path: "/kiosk", RawQuery: kept.Encode()}
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
	})}}
}

// SignInPath is the address on this host that makes a browser the kiosk. It holds
// the token: it may be shown to who started the daemon, and logged nowhere.
func (k *KioskDoor) SignInPath() string { return KioskSignIn + "?token=" + k.token }
