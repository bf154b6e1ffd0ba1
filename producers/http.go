package producers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
)

// ControlPlane is a NixFleet control plane's manifest API.
type ControlPlane struct{ get fetcher }

// ReleaseURL is a release directory behind an HTTPS base URL, such as the raw
// files of a git forge.
type ReleaseURL struct{ get fetcher }

// HTTP says how requests are made.
type HTTP struct {
	Client  *http.Client           // its redirect policy is replaced: none is followed
	Timeout time.Duration          // of one request, its body included
	Token   func() (string, error) // bearer token, read for every request; nil: none
	Clock   func() time.Time
}

// NewControlPlane takes the base URL that upstream's agent takes.
func NewControlPlane(base string, h HTTP) (*ControlPlane, error) {
	get, err := newFetcher(base, h)
	get.header.Set("X-Nixfleet-Protocol", "1")
	return &ControlPlane{get}, err
}

// NewReleaseURL takes the URL of the folder that holds fleet.resolved.json.
func NewReleaseURL(base string, h HTTP) (*ReleaseURL, error) {
	get, err := newFetcher(base, h)
	return &ReleaseURL{get}, err
}

// Kind is "control-plane".
func (c *ControlPlane) Kind() string { return events.SourceControlPlane }

// CheckIdentity refuses an empty ref: the id <channel>@ is never served.
func (c *ControlPlane) CheckIdentity(id manifest.RolloutID) error {
	if strings.HasSuffix(id.String(), "@") {
		return &FetchError{Reason: events.IdentityUnservable, Detail: "fleet has no ciCommit"}
	}
	return checkIdentity(id)
}

// Fleet gets /v1/fleet.resolved and its /sig.
func (c *ControlPlane) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	return c.get.pair(ctx, "/v1/fleet.resolved", "/v1/fleet.resolved/sig", known)
}

// Rollout gets /v1/rollouts/{id} and its /sig. A 404 to an id outside the shape
// that the control plane serves is its last word.
func (c *ControlPlane) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	path := "/v1/rollouts/" + url.PathEscape(id.String())
	r, err := c.get.pair(ctx, path, path+"/sig", known)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound && !served(id) {
		return r, &FetchError{
			Reason: events.IdentityUnservable,
			Detail: "the control plane serves no id of this shape", Err: err,
		}
	}
	return r, err
}

// served tells whether the id has the shape that a control plane looks up:
// [a-z0-9_-]+@[0-9a-f]+ or a content hash.
func served(id manifest.RolloutID) bool {
	if id.Scheme() == manifest.ContentHash {
		return true
	}
	channel, ref, _ := strings.Cut(id.String(), "@")
	odd := func(alphabet string) func(rune) bool {
		return func(r rune) bool { return !strings.ContainsRune(alphabet, r) }
	}
	const digits = "0123456789"
	return channel != "" && ref != "" &&
		!strings.ContainsFunc(channel, odd("abcdefghijklmnopqrstuvwxyz_-"+digits)) &&
		!strings.ContainsFunc(ref, odd("abcdef"+digits))
}

// Kind is "release-url".
func (u *ReleaseURL) Kind() string { return events.SourceReleaseURL }

// CheckIdentity allows an empty ref: the file <channel>@.json can exist.
func (u *ReleaseURL) CheckIdentity(id manifest.RolloutID) error { return checkIdentity(id) }

// Fleet gets fleet.resolved.json.
func (u *ReleaseURL) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	return u.get.pair(ctx, "/"+fleetFile, "/"+fleetFile+".sig", known)
}

// Rollout gets the manifest with that id.
func (u *ReleaseURL) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	path := "/rollouts/" + url.PathEscape(id.String()) + ".json"
	return u.get.pair(ctx, path, path+".sig", known)
}

// fetcher makes the GET requests of one base URL.
type fetcher struct {
	base    string
	header  http.Header
	http    HTTP
	private *http.Client
	tagged  *remembered
	blocks  *blocks
}

func newFetcher(base string, h HTTP) (fetcher, error) {
	f := fetcher{base: strings.TrimRight(base, "/"), header: http.Header{}, http: h, tagged: &remembered{}, blocks: newBlocks()}
	// Asking for the plain form keeps the library from unpacking what a server
	// compresses: the limits hold for the bytes that travel.
	f.header.Set("Accept-Encoding", "identity")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return f, fmt.Errorf("URL %q: want https://host[:port][/path]", base)
	}
	client := *h.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.private = &client
	return f, nil
}

// pair gets an artifact and its signature, both at once. When the server says that
// only one of them is what it was, that one is fetched plainly: the two belong
// together, and a tag may be behind its file.
func (f fetcher) pair(ctx context.Context, body, signature string, known manifest.Received) (manifest.Received, error) {
	ctx, cancel := context.WithCancel(ctx)
	var r manifest.Received
	var oldSignature bool
	var failed error
	var signed sync.WaitGroup
	signed.Go(func() { r.Signature, oldSignature, failed = f.fetch(ctx, signature, signatureRead, known.Signature) })
	received, oldBody, err := f.fetch(ctx, body, manifest.MaxArtifact, known.Body)
	if err != nil {
		cancel()
	}
	signed.Wait()
	defer cancel()
	if err != nil {
		return manifest.Received{}, err
	}
	r.Body, err = received, failed
	if err == nil && oldBody != oldSignature {
		if oldBody {
			r.Body, _, err = f.fetch(ctx, body, manifest.MaxArtifact, nil)
		} else {
			r.Signature, _, err = f.fetch(ctx, signature, signatureRead, nil)
		}
	}
	var fetch *FetchError
	if errors.As(err, &fetch) && fetch.Reason == events.TooLarge {
		return manifest.Received{Body: r.Body}, nil // no signature is that long: refused as one
	}
	return r, err
}

type statusError struct{ code int }

func (e *statusError) Error() string { return "status " + strconv.Itoa(e.code) }

// fetch makes one request for what may be known; old says that the server has the
// body unchanged and did not send it again. Of nothing known no tag is named.
func (f fetcher) fetch(ctx context.Context, path string, limit int64, known []byte) (body []byte, old bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.http.Timeout)
	defer cancel()
	request, err := f.request(ctx, path)
	if err != nil {
		return nil, false, err
	}
	now := f.http.Clock()
	before, asked := f.tagged.recall(path, now)
	if asked = asked && len(known) > 0; asked {
		request.Header.Set("If-None-Match", before.etag)
	}
	response, err := f.private.Do(request)
	if err != nil {
		return nil, false, transportError(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotModified && asked {
		return before.body, true, nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, false, refusedStatus(response)
	}
	if body, err = f.readBody(response, limit, known); err != nil {
		return nil, false, err
	}
	// A server that notices the end of the wait may still close its body in good
	// order, and what has come until then is no artifact.
	if err := ctx.Err(); err != nil {
		return nil, false, transportError(err)
	}
	f.tagged.remember(path, tagged{response.Header.Get("ETag"), body, now})
	return body, false, nil
}

func (f fetcher) request(ctx context.Context, path string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, &FetchError{Reason: events.Unreachable, Detail: "URL cannot be requested", Err: err}
	}
	request.Header = f.header.Clone()
	if f.http.Token != nil {
		token, err := f.http.Token()
		if err != nil {
			return nil, &FetchError{Reason: events.Unreachable, Detail: "token file cannot be read", Err: err}
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

func refusedStatus(response *http.Response) error {
	code := response.StatusCode
	fetch := &FetchError{
		Reason: events.HTTPStatus, Detail: "HTTP " + strconv.Itoa(code), Err: &statusError{code},
		RetryAfter: retryAfter(response.Header.Get("Retry-After"), response.Header.Get("Date")),
	}
	if code == http.StatusServiceUnavailable {
		fetch.Reason = events.Unavailable
	}
	return fetch
}

// maxRetryAfter bounds how long a server can send the poller away.
const maxRetryAfter = 15 * time.Minute

// retryAfter reads seconds, or an HTTP date relative to the server's own clock.
func retryAfter(value, date string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(date)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// readBody reads at most limit bytes: known when that is what comes, else one
// new buffer.
func (f fetcher) readBody(response *http.Response, limit int64, known []byte) ([]byte, error) {
	tooLarge := &FetchError{Reason: events.TooLarge, Detail: fmt.Sprintf("body is larger than %d bytes", limit)}
	size, end := response.ContentLength, limit+1
	if size > limit {
		return nil, tooLarge
	}
	if size >= 0 {
		end = size
	}
	body, err := f.blocks.read(io.LimitReader(response.Body, end), size, known)
	if err != nil {
		return nil, transportError(err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge
	}
	return body, nil
}

// transportError names the cause without addresses and ports, which differ from
// one try to the next.
func transportError(err error) error {
	fetch := &FetchError{Reason: events.Unreachable, Detail: "request failed", Err: err}
	var timeout net.Error
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var remote *net.OpError
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		fetch.Reason, fetch.Detail = events.Timeout, "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		fetch.Detail = "connection refused"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		fetch.Detail = "connection reset"
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		fetch.Detail = "connection ended early"
	case errors.As(err, &authority):
		fetch.Detail = "server certificate is not signed by the given CA"
	case errors.As(err, &hostname):
		fetch.Detail = "server certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		fetch.Detail = "server certificate has expired"
	case errors.As(err, &invalid):
		fetch.Detail = "server certificate is not valid"
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of crypto/tls
		fetch.Detail = "server refused the TLS connection: " + strings.TrimPrefix(remote.Err.Error(), "tls: ")
	case errors.As(err, &dns):
		fetch.Detail = "host name does not resolve"
	}
	return fetch
}
