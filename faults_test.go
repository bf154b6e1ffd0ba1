package fleetlog_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

var c0, c1 = fleetsim.ChannelName(0), fleetsim.ChannelName(1)

// fault is one row: what is done to a healthy scene, what the next tick then
// says, and what is held after it.
type fault struct {
	name string
	do   func(s *scene)
	said []string
	held func(before fleetsim.Fleet, s *scene) string
}

// kept: the set is the one before the fault.
func kept(before fleetsim.Fleet, _ *scene) string { return holding(before, c0, c1) }

// without: only that channel has left the set.
func without(channel string) func(fleetsim.Fleet, *scene) string {
	return func(_ fleetsim.Fleet, s *scene) string {
		rest := slices.DeleteFunc([]string{c0, c1}, func(c string) bool { return c == channel })
		return holding(s.fleet, rest...)
	}
}

// renewed: the set is what is served now.
func renewed(_ fleetsim.Fleet, s *scene) string { return holding(s.fleet, c0, c1) }

func nothing(fleetsim.Fleet, *scene) string { return "none" }

// TestHostileWorld takes a healthy scene, does one thing to it, and demands the
// exact events of the next tick, the set that is retained, and the same set of
// the reducer. Then the fault ends, and the release that is served is the set
// again.
func TestHostileWorld(t *testing.T) {
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true }) // what is durable is not the question
	bomb()                                                               // takes longer than a request may, under the race detector
	rows := slices.Concat(fleetFaults(), rolloutFaults(), memoryFaults(), mixedReads(), liveFaults(), pressureFaults(), wireFaults())
	names := map[string]bool{}
	for i, row := range rows {
		if names[row.name] {
			t.Errorf("two rows are named %s", row.name)
		}
		names[row.name] = true
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, b, "row-"+strconv.Itoa(i))
			if got, want := s.held(s.tick()), holding(s.fleet, c0, c1); got != want {
				t.Fatalf("the healthy set is %s, want %s", got, want)
			}
			before := s.fleet
			row.do(s)
			tick := s.tick()
			if diff := cmp.Diff(row.said, said(tick)); diff != "" {
				t.Errorf("the tick says (-want +got):\n%s", diff)
			}
			if got, want := s.held(tick), row.held(before, s); got != want {
				t.Errorf("held is %s, want %s", got, want)
			}
			s.heal()
			if got, want := s.held(s.tick()), holding(s.fleet, c0, c1); got != want {
				t.Errorf("after the repair the set is %s, want %s", got, want)
			}
		})
	}
	t.Logf("%d faults", len(rows))
}

// heal ends every fault and serves a newer release.
func (s *scene) heal() {
	s.t.Helper()
	s.plane.SetIntercept(nil)
	s.setTrust(signerA.Trust())
	s.certify(time.Now().Add(time.Hour))
	s.config.Poll.Source, s.poller = nil, nil
	next := fleetsim.Fleet{Hosts: 6, Channels: 2, Idle: 1, Commit: "ffff", SignedAt: s.clock().Add(-time.Second).Truncate(time.Millisecond)}
	s.publish(next)
}

// on answers instead of the control plane wherever the path has the prefix.
func (s *scene) on(prefix string, answer http.HandlerFunc) {
	s.plane.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, prefix) {
			return false
		}
		answer(w, r)
		return true
	})
}

const (
	fleetPath   = "/v1/fleet.resolved"
	rolloutPath = "/v1/rollouts/channel-000@"
)

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// bomb is 64 MiB of nothing, compressed.
var bomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range 64 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	return packed.Bytes()
})

// answers are what a server may say instead of an artifact, each with the
// reason and whether bytes came that are wrong.
var answers = []struct {
	name, reason string
	bytes        bool
	answer       http.HandlerFunc
}{
	{"redirect", "HTTPStatus", false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/healthz", http.StatusMovedPermanently)
	}},
	{"no content", "HTTPStatus", false, status(http.StatusNoContent)},
	{"partial content", "HTTPStatus", false, status(http.StatusPartialContent)},
	{"not modified", "HTTPStatus", false, status(http.StatusNotModified)},
	{"not found", "HTTPStatus", false, status(http.StatusNotFound)},
	{"server error", "HTTPStatus", false, status(http.StatusInternalServerError)},
	{"not ready", "Unavailable", false, status(http.StatusServiceUnavailable)},
	{"endless body", "TooLarge", false, func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}},
	{"length beyond the limit", "TooLarge", false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(manifest.MaxArtifact+1))
	}},
	{"length beyond the body", "Unreachable", false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("{}"))
	}},
	{"cut connection", "Unreachable", false, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	{"never an answer", "Timeout", false, hang},
	{"slow drip", "Timeout", false, func(w http.ResponseWriter, r *http.Request) {
		pause := time.NewTicker(50 * time.Millisecond)
		defer pause.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-pause.C:
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
			}
		}
	}},
	{"error page", "Parse", true, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>maintenance</html>"))
	}},
	{"empty body", "Parse", true, func(http.ResponseWriter, *http.Request) {}},
	{"compressed bomb", "Parse", true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb())
	}},
	{"other JSON", "BadSignature", true, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"a":1}`)) }},
}

// fleetFaults are about the fleet: all skip the tick and keep the set.
func fleetFaults() (rows []fault) {
	for _, a := range answers {
		stage := "fetch"
		if a.bytes {
			stage = "verify"
		}
		rows = append(rows, fault{"fleet: " + a.name, func(s *scene) { s.on(fleetPath, a.answer) },
			[]string{"FleetRejected " + stage + " " + a.reason}, kept})
	}
	fileFault := func(name, reason string, change func(release fleetsim.Release)) fault {
		return fault{"fleet: " + name, func(s *scene) { s.edit(change) }, []string{"FleetRejected " + reason}, kept}
	}
	return append(rows,
		fileFault("signature of a byte too many", "verify BadSignature", func(r fleetsim.Release) { grow(r, "fleet.resolved.json.sig", 1) }),
		fileFault("signature without end", "verify BadSignature", func(r fleetsim.Release) { grow(r, "fleet.resolved.json.sig", 1<<20) }),
		fileFault("signature of another artifact", "verify BadSignature", func(r fleetsim.Release) {
			r["fleet.resolved.json.sig"] = r["rollouts/"+c0+"@aaaa.json.sig"]
		}),
		fault{"fleet: another CA", func(s *scene) {
			other, err := fleetsim.NewPKI(s.begun)
			s.must(err)
			files, err := other.WriteClient(s.t.TempDir(), s.begun.Add(time.Hour))
			s.must(err)
			s.files.CA = files.CA
			s.reconnect()
		}, []string{"FleetRejected fetch Unreachable"}, kept},
		fault{"fleet: expired client certificate", func(s *scene) {
			s.certify(s.begun.Add(-time.Minute))
			s.reconnect()
		}, []string{"FleetRejected fetch Unreachable"}, kept},
		fault{"fleet: garbage that varies", func(s *scene) {
			s.on(fleetPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "%q", rand.Text()) })
		}, []string{"FleetRejected verify BadSignature"}, kept},
	)
}

// reconnect makes the poller's source anew, as a restart does.
func (s *scene) reconnect() { s.config.Poll.Source, s.poller = nil, nil }

// edit changes files of the release that is served.
func (s *scene) edit(change func(release fleetsim.Release)) {
	release := maps.Clone(s.release)
	change(release)
	s.plane.SetRelease(release)
}

func grow(release fleetsim.Release, name string, by int) {
	file := *release[name]
	file.Data = append(slices.Clone(file.Data), make([]byte, by)...)
	release[name] = &file
}

// rolloutFaults are about one channel: what does not come is carried, what comes
// and is wrong removes that channel alone.
func rolloutFaults() (rows []fault) {
	for _, a := range answers {
		row := fault{"rollout: " + a.name, func(s *scene) { s.on(rolloutPath, a.answer) },
			[]string{fmt.Sprintf("RolloutVerified %q carried %s", c0, a.reason)}, kept}
		if a.bytes {
			row.said, row.held = []string{fmt.Sprintf("RolloutRejected %q verify %s", c0, a.reason)}, without(c0)
		}
		rows = append(rows, row)
	}
	return append(rows,
		fault{"rollout: does not come, of a newer release", func(s *scene) {
			s.on(rolloutPath, status(http.StatusBadGateway))
			next := s.fleet
			next.Commit, next.SignedAt = "bbbb", s.fleet.SignedAt.Add(time.Minute)
			s.publish(next)
		}, []string{fmt.Sprintf("RolloutRejected %q fetch HTTPStatus", c0)}, without(c0)},
		fault{"rollout: of another channel", func(s *scene) {
			s.edit(func(r fleetsim.Release) {
				for _, end := range []string{".json", ".json.sig"} {
					r["rollouts/"+c0+"@aaaa"+end] = r["rollouts/"+c1+"@aaaa"+end]
				}
			})
		}, []string{fmt.Sprintf("RolloutRejected %q verify Mismatch", c0)}, without(c0)},
		fault{"rollout: channel leaves the fleet", func(s *scene) {
			next := s.fleet
			next.Channels, next.Idle, next.SignedAt = 1, 0, s.fleet.SignedAt.Add(time.Minute)
			s.publish(next)
		}, []string{`ChannelIdle "channel-001" removed`, `ChannelIdle "channel-002" removed`}, without(c1)},
	)
}

// mixedReads let the release change between two requests.
func mixedReads() []fault {
	// swap publishes a newer release ahead of the first request to the path.
	swap := func(path string, change func(f *fleetsim.Fleet)) func(*scene) {
		return func(s *scene) {
			next := s.fleet
			next.SignedAt = s.fleet.SignedAt.Add(time.Minute)
			change(&next)
			release := s.sign(next)
			var swapped sync.Once
			s.plane.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, path) {
					swapped.Do(func() { s.plane.SetRelease(release) })
				}
				return false
			})
			s.fleet = next
		}
	}
	resigned := func(*fleetsim.Fleet) {}
	committed := func(f *fleetsim.Fleet) { f.Commit, f.Closures = "bbbb", 1 }
	return []fault{
		{"mixed: published between the fleet's body and its signature", swap(fleetPath+"/sig", committed), nil, renewed},
		{"mixed: signed anew between the fleet's body and its signature", swap(fleetPath+"/sig", resigned), nil, renewed},
		{"mixed: signed anew between fleet and rollouts", swap(rolloutPath, resigned), nil, renewed},
		{"mixed: signed anew between a rollout's body and its signature", swap("/v1/rollouts/channel-000@aaaa/sig", resigned), nil, renewed},
		{"mixed: published between fleet and rollouts", func(s *scene) {
			next := s.fleet
			next.SignedAt, next.Commit, next.Closures = s.fleet.SignedAt.Add(time.Minute), "bbbb", 1
			s.replicas(s.release, s.sign(next), func(path string) bool { return strings.HasPrefix(path, "/v1/rollouts/") })
		}, []string{
			fmt.Sprintf("RolloutVerified %q carried HTTPStatus", c0), fmt.Sprintf("RolloutVerified %q carried HTTPStatus", c1),
		}, kept},
		{"mixed: rollouts of an older signing under the same id", func(s *scene) {
			next := s.fleet
			next.SignedAt = s.fleet.SignedAt.Add(time.Minute)
			release := maps.Clone(s.sign(next))
			for name := range release {
				if strings.HasPrefix(name, "rollouts/") {
					release[name] = s.release[name]
				}
			}
			s.fleet = next
			s.plane.SetRelease(release)
		}, []string{fmt.Sprintf("CrossCheckFailed %q fleet-hash", c0), fmt.Sprintf("CrossCheckFailed %q fleet-hash", c1)},
			func(_ fleetsim.Fleet, s *scene) string { return holding(s.fleet) }},
		{"mixed: the fleet of a newer replica, all else of an older one", func(s *scene) {
			next := s.fleet
			next.SignedAt = s.fleet.SignedAt.Add(time.Minute)
			var fleets atomic.Int64
			s.replicas(s.release, s.sign(next), func(path string) bool {
				return strings.HasPrefix(path, fleetPath) && fleets.Add(1) <= 2
			})
		}, nil, kept},
		{"mixed: bodies of one replica, signatures of a newer one", func(s *scene) {
			next := s.fleet
			next.SignedAt = s.fleet.SignedAt.Add(time.Minute)
			s.replicas(s.release, s.sign(next), func(path string) bool { return strings.HasSuffix(path, "/sig") })
		}, []string{"FleetRejected verify BadSignature"}, kept},
	}
}

// replicas answers from the newer release what is chosen, from the older one the
// rest.
func (s *scene) replicas(older, newer fs.FS, fromNewer func(path string) bool) {
	s.plane.SetReleases(func(r *http.Request) fs.FS {
		if fromNewer(r.URL.Path) {
			return newer
		}
		return older
	})
}
