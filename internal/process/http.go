package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	stdlog "log" //nolint:depguard // what net/http takes
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// ErrRemoteListen refuses a listener that other machines could reach.
var ErrRemoteListen = errors.New("not a loopback address: give 127.0.0.1:PORT or unix:PATH")

// Listen opens an address for [Serve]: host:port, where port 0 picks a free one,
// or unix:PATH. Other hosts than loopback addresses and localhost are refused
// with [ErrRemoteListen] unless allowRemote is set: nothing that is served here
// asks who is there. A socket that a killed process left at PATH is replaced.
func Listen(ctx context.Context, address string, allowRemote bool) (net.Listener, error) {
	var config net.ListenConfig
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if err := removeDeadSocket(ctx, path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return wrapListen(config.Listen(ctx, "unix", path))
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: want host:port or unix:PATH", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !allowRemote {
		return nil, fmt.Errorf("listen on %s: %w", address, ErrRemoteListen)
	}
	return wrapListen(config.Listen(ctx, "tcp", address))
}

// ListenIfAsked opens the address that --http-listen gives and logs what it has
// become. Without an address there is no listener, and no error.
func ListenIfAsked(ctx context.Context, address string, log logrus.FieldLogger) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := Listen(ctx, address, false)
	if err != nil {
		return nil, fmt.Errorf("--http-listen: %w", err)
	}
	log.WithField("address", l.Addr().String()).Info("serving HTTP")
	return l, nil
}

func wrapListen(l net.Listener, err error) (net.Listener, error) {
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: stop the process that listens there, or give another address", err)
	}
	return l, err // it names the address
}

// removeDeadSocket removes a socket that nobody listens on.
func removeDeadSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil
	}
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		return conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// Limits of one HTTP exchange. A handler that streams lifts the deadlines for
// its own response with [http.ResponseController].
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	stopTimeout   = 2 * time.Second
)

// Serve answers requests until ctx ends, and closes the listener. The contexts
// of requests end with ctx; answers on their way are waited for, but not longer
// than two seconds. It returns nil when ctx ended it. What goes wrong with single
// connections is a warning; that a client's TLS is refused is for debugging only,
// as anyone can make it happen.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log logrus.FieldLogger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    stdlog.New(complaints{log}, "", 0),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- shutdown(ctx, server) })
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	return <-stopped
}

// shutdown waits for answers on their way, then cuts.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("stop HTTP server: %w", err)
	}
	return nil
}

// complaints logs what net/http has to say, a line at a time.
type complaints struct{ log logrus.FieldLogger }

func (c complaints) Write(line []byte) (int, error) {
	text := oneLine(string(line))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		c.log.Debug(text)
	} else {
		c.log.Warn(text)
	}
	return len(line), nil
}
