package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"fleetlog/internal/fleetsim"
)

// plane is the control plane: it serves a newer release every releaseEvery, and
// can be made to misbehave.
type plane struct {
	pki    *fleetsim.PKI
	signer *fleetsim.Signer

	mu     sync.Mutex
	server *fleetsim.ControlPlane
	port   int
	number int
	newest fleetsim.Release
	first  fleetsim.Release
}

const releaseEvery = 2 * time.Second

func startPlane(ctx context.Context, now time.Time) (*plane, error) {
	pki, err := fleetsim.NewPKI(now)
	if err != nil {
		return nil, err
	}
	p := &plane{pki: pki, signer: fleetsim.NewEd25519Signer(1)}
	if err := p.release(now); err != nil {
		return nil, err
	}
	p.first = p.newest
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	u, err := url.Parse(p.server.URL())
	if err == nil {
		p.port, err = strconv.Atoi(u.Port())
	}
	return p, err
}

// open serves the newest release, at the port that was served at before.
func (p *plane) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	server, err := fleetsim.Start(ctx, p.pki, p.port)
	if err != nil {
		return err
	}
	server.SetRelease(p.newest)
	p.server = server
	return nil
}

func (p *plane) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	server := p.server
	p.server = nil
	return server.Close()
}

// release signs the next release and serves it.
func (p *plane) release(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	release, err := fleetsim.Fleet{
		Hosts: 12, Channels: 2 + p.number%3, Idle: 1, Closures: p.number, Commit: fmt.Sprintf("%040x", p.number), SignedAt: now,
	}.Sign(p.signer)
	if err != nil {
		return err
	}
	p.newest = release
	if p.server != nil {
		p.server.SetRelease(release)
	}
	return nil
}

// file is one of the newest release; nil when that has none of the name.
func (p *plane) file(name string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if file := p.newest[name]; file != nil {
		return file.Data
	}
	return nil
}

// publish serves newer and newer releases until ctx ends.
func (p *plane) publish(ctx context.Context) error {
	next := time.NewTicker(releaseEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-next.C:
			if err := p.release(now); err != nil {
				return err
			}
		}
	}
}

// hostilities are what a control plane may answer that is broken or lies.
var hostilities = []string{"refuses everything", "sends a changed manifest", "sends no JSON", "sends an old release", "answers nothing"}

// misbehave makes the control plane hostile; the empty text ends that.
func (p *plane) misbehave(how string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return errors.New("control plane is not open")
	}
	p.server.SetRelease(p.newest)
	p.server.SetIntercept(nil)
	switch how {
	case "refuses everything":
		p.server.SetIntercept(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		})
	case "sends a changed manifest":
		p.server.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
			manifest := p.file(strings.TrimPrefix(r.URL.Path, "/v1/") + ".json")
			if manifest == nil || !strings.HasPrefix(r.URL.Path, "/v1/rollouts/") {
				return false
			}
			_, _ = w.Write(bytes.Replace(manifest, []byte("nixos-system"), []byte("other-system"), 1)) //nolint:gosec // a simulated attack
			return true
		})
	case "sends no JSON":
		p.server.SetIntercept(func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>"))
			return true
		})
	case "sends an old release":
		p.server.SetRelease(p.first)
	case "answers nothing":
		p.server.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		})
	}
	return nil
}
