package web

import (
	"net/http"
	"strconv"
	"strings"
)

// read lets GET and HEAD through, and answers others as a control plane does.
func read(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	})
}

// inProtocol lets requests of protocol 1 through, and those that name none.
func inProtocol(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := judgeProtocol(r.Header.Values("X-Nixfleet-Protocol")); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// judgeProtocol gives the status for the header: of several the first counts,
// one that is no 32-bit number is 400, and any number but 1 is 426.
func judgeProtocol(values []string) int {
	if len(values) == 0 {
		return http.StatusOK
	}
	version, err := strconv.ParseUint(strings.TrimPrefix(values[0], "+"), 10, 32)
	switch {
	case err != nil:
		return http.StatusBadRequest
	case version != 1:
		return http.StatusUpgradeRequired
	}
	return http.StatusOK
}

// authenticated lets clients with a certificate through. The listener has
// verified it, but a connection may outlive it.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && !s.knows(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) knows(r *http.Request) bool {
	if len(r.TLS.VerifiedChains) == 0 {
		return false
	}
	shown := r.TLS.PeerCertificates[0]
	return shown.Subject.CommonName != "" && !s.Clock().After(shown.NotAfter)
}
