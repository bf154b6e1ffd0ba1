package fleetsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log" //nolint:depguard // what net/http takes
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"fleetlog/manifest"
)

// ControlPlane serves a release directory over mutual TLS as the real control
// plane does: readiness first, then the protocol header, then the certificate,
// then the route; errors are bare status codes.
type ControlPlane struct {
	listener  net.Listener
	server    *http.Server
	served    chan error
	release   atomic.Pointer[Choose]
	intercept atomic.Pointer[Intercept]
}

// Choose gives the release directory that a request is answered from.
type Choose func(*http.Request) fs.FS

// Intercept may answer a request instead of the control plane; it then returns
// true.
type Intercept func(http.ResponseWriter, *http.Request) bool

// Start serves on 127.0.0.1, at the port given or a free one (0), until
// [ControlPlane.Close]. It is not ready before it has a release.
func Start(ctx context.Context, pki *PKI, port int) (*ControlPlane, error) {
	config, err := pki.server()
	if err != nil {
		return nil, err
	}
	return start(ctx, config, port)
}

// StartFromFiles is [Start] with the files that [PKI.WriteServer] has written
// into dir.
func StartFromFiles(ctx context.Context, dir string, port int) (*ControlPlane, error) {
	config, err := readServer(dir)
	if err != nil {
		return nil, err
	}
	return start(ctx, config, port)
}

func start(ctx context.Context, config *tls.Config, port int) (*ControlPlane, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("start control plane: %w", err)
	}
	c := &ControlPlane{listener: listener, served: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/json", []byte(`{"ok":true,"version":"0.2.0","last_tick_at":null}`))
	})
	mux.Handle("/v1/", c.gate(c.routes()))
	c.server = &http.Server{
		Handler: c.intercepted(mux), ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { c.served <- c.server.Serve(tls.NewListener(listener, config)) }()
	return c, nil
}

// Close stops serving and waits for it.
func (c *ControlPlane) Close() error {
	err := c.server.Close()
	if served := <-c.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// URL is what a poller is given.
func (c *ControlPlane) URL() string { return "https://" + c.listener.Addr().String() }

// SetRelease serves another release directory from the next request on.
func (c *ControlPlane) SetRelease(release fs.FS) {
	c.SetReleases(func(*http.Request) fs.FS { return release })
}

// SetReleases serves each request from the release that is chosen for it, as
// replicas of different age do.
func (c *ControlPlane) SetReleases(choose Choose) { c.release.Store(&choose) }

// SetIntercept lets f see every request first; nil ends that.
func (c *ControlPlane) SetIntercept(f Intercept) { c.intercept.Store(&f) }

func (c *ControlPlane) intercepted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := c.intercept.Load(); f != nil && *f != nil && (*f)(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// gate is everything that comes before a route.
func (c *ControlPlane) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.release.Load() == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":"control plane not ready","reason":"awaiting first signed artifact"}`)
			return
		}
		if status := protocol(r); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// protocol judges X-Nixfleet-Protocol; of several the first counts.
func protocol(r *http.Request) int {
	values, sent := r.Header["X-Nixfleet-Protocol"]
	if !sent {
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

func (c *ControlPlane) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"/v1/fleet.resolved":     c.body(fleetFile),
		"/v1/fleet.resolved/sig": c.signature(fleetFile),
		"/v1/rollouts/{id}":      c.body(rolloutFile),
		"/v1/rollouts/{id}/sig":  c.signature(rolloutFile),
	} {
		mux.HandleFunc("GET "+pattern, h)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	return mux
}

// naming finds the file that a request asks for, and the hash that the file
// must have when its name is one.
type naming func(*http.Request) (name string, hash *manifest.Digest, ok bool)

func fleetFile(*http.Request) (string, *manifest.Digest, bool) {
	return "fleet.resolved.json", nil, true
}

var servable = regexp.MustCompile(`^([0-9a-f]{64}|[a-z0-9_-]+@[0-9a-f]+)$`)

func rolloutFile(r *http.Request) (string, *manifest.Digest, bool) {
	id := r.PathValue("id")
	name := "rollouts/" + id + ".json"
	if hash, err := manifest.ParseDigest(id); err == nil {
		return name, &hash, true
	}
	return name, nil, servable.MatchString(id)
}

func (c *ControlPlane) body(name naming) http.HandlerFunc {
	return c.pair(name, func(w http.ResponseWriter, body, _ []byte) { answer(w, "application/json", body) })
}

func (c *ControlPlane) signature(name naming) http.HandlerFunc {
	return c.pair(name, func(w http.ResponseWriter, _, signature []byte) {
		answer(w, "application/octet-stream", signature)
	})
}

// pair looks both files up whichever is asked for: a body without a signature,
// or with another hash than its name, is an error of the server.
func (c *ControlPlane) pair(name naming, answer func(w http.ResponseWriter, body, signature []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path, hash, ok := name(r)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		release := (*c.release.Load())(r)
		body, err := fs.ReadFile(release, path)
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		signature, err := fs.ReadFile(release, path+".sig")
		if err != nil || hash != nil && !hasHash(body, *hash) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer(w, body, signature)
	}
}

func hasHash(body []byte, hash manifest.Digest) bool {
	canonical, err := manifest.Canonicalize(body)
	return err == nil && manifest.Sum(canonical) == hash
}

func answer(w http.ResponseWriter, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the client is gone
}
