package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// Explain says what a failed Get means, for people who read it on a page: what is
// not there, by name, with the system's own word for it. What it has no words for
// it gives as it is.
func Explain(err error, now time.Time) string {
	var dns *net.DNSError
	var op *net.OpError
	var cert x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.Is(err, ErrDenied), errors.Is(err, ErrBusy):
		return err.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no machine named %s (no such host): check the address, or the network", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s could not be looked up: the network's name server does not answer", dns.Name)
	case errors.As(err, &cert) && cert.Reason == x509.Expired:
		return fmt.Sprintf("its certificate is not valid on %s, which is what this machine's clock says", now.Format("2 January 2006"))
	case errors.As(err, &authority), errors.As(err, &host):
		return "its certificate is not to be trusted: a network that wants one to log in first does that, or the publisher made a mistake"
	case errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing answers at %s (connection refused)", op.Addr)
	case errors.As(err, &op) && op.Op == "dial" && (errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)):
		return fmt.Sprintf("there is no way to %s (%v): the network is not up", op.Addr, errors.Unwrap(op))
	case errors.Is(err, syscall.ECONNRESET):
		return "the publisher hung up in the middle (connection reset)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "the publisher did not answer in time"
	}
	return err.Error()
}
