package producers

import (
	"sync"
	"time"
)

// remembered are bodies that a server has tagged, so that it need not send them
// again while they are the same.
type remembered struct {
	mu     sync.Mutex
	bodies map[string]tagged // by path
	size   int               // of all bodies in bytes
}

type tagged struct {
	etag string
	body []byte
	at   time.Time
}

const (
	// maxRemembered bounds what is kept, in bytes.
	maxRemembered = 64 << 20
	// maxTag is the longest tag that is sent back: a longer one may be refused as
	// a header that is too large, long after the server is in order again.
	maxTag = 256
	// rememberFor is after how long a body is asked for plainly again: a server
	// whose tags do not change with its files can mislead no longer.
	rememberFor = 10 * time.Minute
)

// recall returns the body last sent for the path and its tag.
func (r *remembered) recall(path string, now time.Time) (tagged, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.bodies[path]
	return t, ok && now.Sub(t.at) < rememberFor
}

// remember keeps a body that came with a tag.
func (r *remembered) remember(path string, t tagged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size -= len(r.bodies[path].body)
	delete(r.bodies, path)
	if t.etag == "" || len(t.etag) > maxTag {
		return
	}
	if r.bodies == nil || r.size+len(t.body) > maxRemembered {
		r.bodies, r.size = make(map[string]tagged), 0
	}
	r.bodies[path] = t
	r.size += len(t.body)
}
