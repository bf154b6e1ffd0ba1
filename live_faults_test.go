package fleetlog_test

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/internal/fleetsim"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
)

// liveFaults change what the poller reads from its own disk.
func liveFaults() []fault {
	write := func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }
	return []fault{
		{"live: trust file is gone", func(s *scene) { s.setTrust(nil) }, []string{"FleetRejected trust TrustInvalid"}, kept},
		{"live: trust file is broken", func(s *scene) { s.setTrust([]byte("{")) }, []string{"FleetRejected trust TrustInvalid"}, kept},
		{"live: trust file without keys", func(s *scene) {
			s.setTrust([]byte(`{"schemaVersion":1,"ciReleaseKey":{}}`))
		}, []string{"FleetRejected verify NoTrustRoots"}, nothing},
		{"live: key is revoked", func(s *scene) { s.setTrust(signerB.Trust()) }, []string{"FleetRejected verify BadSignature"}, nothing},
		{"live: PEM members in the one spelling", func(s *scene) {
			s.setTrust([]byte(strings.Replace(string(signerA.Trust()), "{", `{"rootCaPem":"x","issuanceCaPems":["y"],`, 1)))
		}, nil, kept},
		{"live: PEM members in the other spelling", func(s *scene) {
			s.setTrust([]byte(strings.Replace(string(signerA.Trust()), "{", `{"rootCAPem":"x","issuanceCAPems":["y"],`, 1)))
		}, nil, kept},
		{"live: client certificate becomes unreadable", func(s *scene) { s.must(write(s.files.Cert, []byte("junk"))) }, nil, kept},
		{"live: CA becomes unreadable", func(s *scene) { s.must(write(s.files.CA, nil)) }, nil, kept},
		{"live: client certificate is renewed", func(s *scene) {
			old := s.files
			s.certify(time.Now().Add(2 * time.Hour))
			for from, to := range map[string]string{s.files.Cert: old.Cert, s.files.Key: old.Key} {
				data, err := os.ReadFile(from)
				s.must(err)
				s.must(write(to, data))
			}
			s.files = old
		}, nil, kept},
		{"live: all that was signed before now is rejected", func(s *scene) {
			s.setTrust(trusting(s.t, map[string]any{"rejectBefore": s.clock().Format(time.RFC3339Nano)}, signerA))
		}, []string{"FleetRejected verify RejectedBeforeTimestamp"}, nothing},
		{"live: the key of one manifest is revoked", func(s *scene) {
			s.signedByTwo()
			s.setTrust(signerA.Trust())
		}, []string{fmt.Sprintf("RolloutRejected %q verify BadSignature", c0)}, without(c0)},
		{"live: the key of one manifest is revoked while the source is down", func(s *scene) {
			s.signedByTwo()
			s.on("/", status(http.StatusBadGateway))
			s.setTrust(signerA.Trust())
		}, []string{"FleetRejected fetch HTTPStatus"}, without(c0)},
	}
}

// signedByTwo signs one manifest by another key than all else, and lets that be
// the healthy set.
func (s *scene) signedByTwo() {
	s.t.Helper()
	s.setTrust(trusting(s.t, nil, signerA, signerB))
	s.edit(func(r fleetsim.Release) {
		name := "rollouts/" + c0 + "@aaaa.json"
		signed, err := signerB.Sign(r[name].Data)
		s.must(err)
		r[name+".sig"] = &fstest.MapFile{Data: signed.Signature}
	})
	if got, want := s.held(s.tick()), holding(s.fleet, c0, c1); got != want {
		s.t.Fatalf("under two keys the set is %s, want %s", got, want)
	}
}

// trusting is a trust file with these keys, current and previous, and further
// members of their slot.
func trusting(t *testing.T, slot map[string]any, signers ...*fleetsim.Signer) []byte {
	t.Helper()
	whole := map[string]any{}
	members := maps.Clone(slot)
	if members == nil {
		members = map[string]any{}
	}
	for i, signer := range signers {
		var file struct {
			CIReleaseKey map[string]any `json:"ciReleaseKey"`
		}
		if err := json.Unmarshal(signer.Trust(), &file); err != nil {
			t.Fatal(err)
		}
		members[[]string{"current", "previous"}[i]] = file.CIReleaseKey["current"]
	}
	whole["schemaVersion"], whole["ciReleaseKey"] = 1, members
	data, err := json.Marshal(whole, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pressureFaults are about when the control plane is asked.
func pressureFaults() []fault {
	return []fault{
		{"pressure: Retry-After, and all is well before that", func(s *scene) {
			s.config.Poll.Source = producers.NewBackoff(s.source(), 30*time.Second, s.clock, func(int64) int64 { return 0 })
			s.poller, s.config.Terms.RestateEvery = nil, 0
			s.on("/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			if got := said(s.tick()); !slices.Equal(got, []string{"FleetRejected fetch Unavailable"}) {
				s.t.Fatalf("a control plane that is not ready: %q", got)
			}
			s.on("/", func(http.ResponseWriter, *http.Request) { s.t.Error("asked before it was time") })
		}, []string{"FleetRejected fetch Unavailable"}, kept},
		{"pressure: too many requests", func(s *scene) { s.on("/", status(http.StatusTooManyRequests)) },
			[]string{"FleetRejected fetch HTTPStatus"}, kept},
	}
}

// wireAnswers are what a server may say that is no HTTP.
var wireAnswers = []struct {
	name   string
	answer func(*bufio.Writer) error // over and over, until it fails; io.EOF: once
}{
	{"no HTTP", func(w *bufio.Writer) error {
		_, err := w.WriteString("<html>")
		return cmp.Or(err, w.Flush(), io.EOF)
	}},
	{"interim answers without end", func(w *bufio.Writer) error {
		_, err := w.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		return err
	}},
	{"status line without end", func(w *bufio.Writer) error {
		_, err := w.WriteString("HTTP/1.1 200 OK")
		return err
	}},
	{"reset connection", func(*bufio.Writer) error { return io.EOF }},
}

// wireFaults take the connection from the server.
func wireFaults() (rows []fault) {
	for _, a := range wireAnswers {
		answer := func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			for err == nil {
				err = a.answer(buffered.Writer)
			}
			if encrypted, ok := conn.(*tls.Conn); ok && a.name == "reset connection" {
				if tcp, ok := encrypted.NetConn().(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				conn = encrypted.NetConn()
			}
			_ = conn.Close()
		}
		rows = append(rows,
			fault{"fleet: " + a.name, func(s *scene) { s.on(fleetPath, answer) }, []string{"FleetRejected fetch Unreachable"}, kept},
			fault{"rollout: " + a.name, func(s *scene) { s.on(rolloutPath, answer) }, []string{fmt.Sprintf("RolloutVerified %q carried Unreachable", c0)}, kept})
	}
	return append(rows, fault{"fleet: expired server certificate", func(s *scene) {
		old, err := fleetsim.NewPKI(s.begun.Add(-fleetsim.Life - time.Hour))
		s.must(err)
		plane, err := fleetsim.Start(s.t.Context(), old, 0)
		s.must(err)
		s.t.Cleanup(func() { s.must(plane.Close()) })
		files, err := old.WriteClient(s.t.TempDir(), s.begun.Add(time.Hour))
		s.must(err)
		now, own := s.plane, s.files
		s.plane, s.files.CA = plane, files.CA
		s.config.Poll.Source, s.poller = s.source(), nil
		s.plane, s.files = now, own
	}, []string{"FleetRejected fetch Unreachable"}, kept})
}
