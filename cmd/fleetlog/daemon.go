package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/internal/process"

	"github.com/go-json-experiment/json"
)

// daemon is a process that is asked over HTTP.
type daemon struct {
	name   string
	url    string // as it was given
	base   string
	client *http.Client
}

const (
	daemonTimeout = 5 * time.Second
	maxAnswer     = 16 << 20
)

// errNotServed is the answer of a daemon that does not know the path.
var errNotServed = errors.New("not served there")

// newDaemon reads a URL: http of this machine, https, or unix:PATH. What is told
// over plain HTTP by another machine could be told by anyone.
func newDaemon(name, text string, files process.TLSFiles) (*daemon, error) {
	transport, err := files.Transport(func(error) {})
	if err != nil {
		return nil, err
	}
	d := &daemon{name: name, url: text, client: &http.Client{
		Transport: transport, Timeout: daemonTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		d.base = "http://unix"
		d.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}
		return d, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("--%s-url %q: want http://127.0.0.1:PORT, https://HOST:PORT or unix:PATH", name, text)
	}
	ip := net.ParseIP(u.Hostname())
	switch local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); {
	case u.Scheme == "https" || u.Scheme == "http" && local:
	case u.Scheme == "http":
		return nil, fmt.Errorf("--%s-url %q: plain HTTP is for this machine only: give an https URL, or forward its port", name, text)
	default:
		return nil, fmt.Errorf("--%s-url %q: want http, https or unix:PATH", name, text)
	}
	d.base = u.Scheme + "://" + u.Host
	return d, nil
}

// get reads an answer of JSON, also of 503. Error: [errNotServed].
func (d *daemon) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Nixfleet-Protocol", "1")
	response, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", d.name, err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusServiceUnavailable:
	case http.StatusNotFound:
		return fmt.Errorf("ask %s for %s: %w", d.name, path, errNotServed)
	default:
		return fmt.Errorf("ask %s for %s: it answers %s", d.name, path, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("ask %s for %s: %w", d.name, path, err)
	}
	return nil
}

// process is how the daemon says that it stands.
func (d *daemon) process(ctx context.Context) status.Process {
	p := status.Process{Name: d.name, URL: d.url, State: status.NotSeen}
	var ready struct {
		OK     bool   `json:"ok"`
		Reason string `json:"reason"`
	}
	if err := d.get(ctx, "/readyz", &ready); err != nil {
		p.Note = err.Error()
		return p
	}
	p.State, p.Note = status.Late, ready.Reason
	if ready.OK {
		p.State = status.Ready
	}
	return p
}

// reducer is [daemon.process] of one that serves a set, compared with the log's
// newest tick; nil: the log cannot be asked.
func (d *daemon) reducer(ctx context.Context, log *status.Status) status.Process {
	p := d.process(ctx)
	if p.State == status.NotSeen {
		return p
	}
	var set view.Set
	if err := d.get(ctx, "/v1/set", &set); err != nil {
		p.State, p.Note = status.NotSeen, err.Error()
		return p
	}
	at := set.Resolved.Time
	p.LastAttempt, p.LastSuccess = &at, &at
	note := fmt.Sprintf("seq %d", set.Resolved.Seq)
	if set.SetDigest != nil {
		note += fmt.Sprintf(", set %.8s", set.SetDigest)
	}
	if set.Stale {
		note += ", past its window"
	}
	if log != nil && log.Resolved != nil {
		lag := max(log.Resolved.Tick, set.Resolved.Tick) - set.Resolved.Tick
		note += fmt.Sprintf(", %d ticks behind", lag)
		if p.State != status.Ready && lag > 0 {
			p.State = status.Replaying
		}
	}
	if p.Note != "" {
		note = p.Note + "; " + note
	}
	p.Note = note
	return p
}

// served is the status as the reducer tells it, when the log cannot be asked: why
// says why not.
func (d *daemon) served(ctx context.Context, fleet string, why error) (*status.Status, error) {
	var s status.Status
	err := d.get(ctx, "/v1/status", &s)
	if err == nil && s.Health != "" {
		if s.Problems == nil {
			s.Problems = map[string]string{}
		}
		s.Problems["broker"] = "not asked by this program, the reducer tells: " + why.Error()
		return &s, nil
	}
	if err != nil && !errors.Is(err, errNotServed) {
		return nil, err
	}
	var set view.Set
	if err := d.get(ctx, "/v1/set", &set); err != nil {
		return nil, err
	}
	out := status.OfServed(fleet, set, time.Now(), why)
	out.Verified = false // by the reducer, not by this program
	out.Add(d.reducer(ctx, nil))
	return out, nil
}
