package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var signer = fleetsim.NewEd25519Signer(1)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet writes a log of so many ticks, a release every few.
func quiet(t testing.TB, ticks, release int) (jetstream.JetStream, *eventlog.Log) {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	log, err := producertest.Quiet{
		Fleet: fleet, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), Signer: signer,
		Begin: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Ticks: ticks, Release: release, Hosts: 4, Channels: 2,
	}.Write(t.Context(), nc)
	must(t, err)
	js, err := jetstream.New(nc)
	must(t, err)
	return js, log
}

// between is the part of a log between two points.
func between(t testing.TB, log *eventlog.Log, from, to string) check.Part {
	t.Helper()
	var points [2]*eventlog.Point
	for i, text := range []string{from, to} {
		if text == "" {
			continue
		}
		p, err := eventlog.ParsePoint(text, time.Now())
		must(t, err)
		points[i] = &p
	}
	part, err := check.Between(t.Context(), log, points[0], points[1])
	must(t, err)
	if part.End == 0 {
		head, err := log.Head(t.Context())
		must(t, err)
		part.End = head.Seq
	}
	return part
}

// contents are those of a bundle of the part.
func contents(log *eventlog.Log, part check.Part) bundle.Contents {
	return bundle.Contents{
		Part: part, Streams: log.Settings(),
		Trust: []bundle.TrustFile{{Data: signer.Trust()}, {From: time.Date(2026, 5, 1, 0, 3, 0, 0, time.UTC), Data: signer.Trust()}},
	}
}

func written(t testing.TB, source check.Source, c bundle.Contents) []byte {
	t.Helper()
	var w bytes.Buffer
	must(t, bundle.Write(t.Context(), &w, source, c))
	return w.Bytes()
}

func opened(t testing.TB, data []byte) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open(t.Context(), bytes.NewReader(data), int64(len(data)))
	must(t, err)
	return b
}

// checked is what the check of a bundle finds.
func checked(ctx context.Context, b *bundle.Bundle, heads ...check.KnownHead) (*check.Report, error) {
	part, err := b.Part(ctx, nil)
	if err != nil {
		return nil, err
	}
	return check.Read(ctx, b, part, check.Options{Heads: heads})
}

// TestSameBytes: whoever exports a part, from the log or from a bundle of it,
// writes the same bytes.
func TestSameBytes(t *testing.T) {
	_, log := quiet(t, 300, 100)
	for _, c := range []struct{ from, to string }{{"", ""}, {"", "tick:7"}, {"tick:150", ""}, {"tick:130", "tick:210"}} {
		part := between(t, log, c.from, c.to)
		one := written(t, check.OnBroker(log), contents(log, part))
		two := written(t, check.OnBroker(log), contents(log, part))
		b := opened(t, one)
		if !bytes.Equal(one, two) {
			t.Errorf("%s to %s: two exports differ", c.from, c.to)
		}
		again, err := b.Part(t.Context(), nil)
		must(t, err)
		if !bytes.Equal(one, written(t, b, contents(log, again))) {
			t.Errorf("%s to %s: an export of the bundle differs", c.from, c.to)
		}
		if got, err := checked(t.Context(), b); err != nil || got.Found > 0 || len(b.Damaged()) > 0 || got.Seq != part.End {
			t.Errorf("%s to %s: %+v, %v", c.from, c.to, got, err)
		}
	}
}

// TestNoise: noise is part of a bundle, whatever it is; what brokers add to
// messages is not.
func TestNoise(t *testing.T) {
	js, log := quiet(t, 3, 3)
	m := &nats.Msg{Subject: "nixfleet.prod.event.X", Header: nats.Header{"Nats-Msg-Id": {"1"}, "x": {"\xff"}}, Data: []byte("\xff\n{")}
	_, err := js.PublishMsg(t.Context(), m)
	must(t, err)
	head, err := log.Head(t.Context())
	must(t, err)
	writer, err := log.NewWriter(t.Context(), func(uint64, uint64) {})
	must(t, err)
	w, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	must(t, err)
	_, err = writer.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
		draft := events.Draft{
			Tick: head.Tick[:35] + "f", Time: head.Time, Floor: head.Floor(), Set: head.Completed.Set,
			Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}},
		}
		return events.Compose(base, draft, events.Terms{Writer: w}, first)
	})
	must(t, err)
	data := written(t, check.OnBroker(log), contents(log, between(t, log, "", "")))
	if bytes.Contains(data, []byte("Nats-")) {
		t.Error("the bundle holds headers of the broker")
	}
	got, err := checked(t.Context(), opened(t, data))
	if err != nil || got.Found > 0 || got.Noise != 1 || got.Ticks != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCommonTools: the archive is what other programs take for a tar.
func TestCommonTools(t *testing.T) {
	_, log := quiet(t, 10, 4)
	r := tar.NewReader(bytes.NewReader(written(t, check.OnBroker(log), contents(log, between(t, log, "", "")))))
	var names []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if h.Mode != 0o644 || h.ModTime.Unix() != 0 || h.Uid != 0 || h.Typeflag != tar.TypeReg {
			t.Errorf("%s: %+v", h.Name, h)
		}
		folder, _, inside := strings.Cut(h.Name, "/")
		if inside && slices.Contains(names, folder) {
			continue
		}
		names = append(names, folder)
	}
	want := []string{"README.md", "bundle.json", "streams.json", "trust", "events", "artifacts", "HEAD", "SHA256SUMS"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestExtends: a later bundle holds the last tick of an earlier one, and one of
// another history does not.
func TestExtends(t *testing.T) {
	_, log := quiet(t, 40, 10)
	_, other := quiet(t, 40, 10)
	earlier := opened(t, written(t, check.OnBroker(log), contents(log, between(t, log, "", "tick:20"))))
	head, err := earlier.Head(log.Writers())
	must(t, err)
	for _, c := range []struct {
		name     string
		log      *eventlog.Log
		from, to string
		found    uint64
	}{
		{"all", log, "", "", 0},
		{"a part with it", log, "tick:12", "tick:30", 0},
		{"a part right behind it", log, "tick:21", "tick:30", 0},
		{"another log", other, "", "", 1},
		{"an earlier part", log, "", "tick:19", 1},
	} {
		got, err := checked(t.Context(), opened(t, written(t, check.OnBroker(c.log), contents(c.log, between(t, c.log, c.from, c.to)))), head.Known("earlier"))
		if err != nil || got.Found != c.found || c.found == 0 && got.Compared != 1 {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestLostMessages: what the log has lost is lost in the bundle, and found there.
func TestLostMessages(t *testing.T) {
	_, log := quiet(t, 40, 10)
	part := between(t, log, "", "")
	source := without{check.OnBroker(log), 20}
	b := opened(t, written(t, source, contents(log, part)))
	got, err := checked(t.Context(), b)
	must(t, err)
	if got.Found == 0 || got.Findings[0].Code != check.CodeGap || got.Findings[0].Seq != 20 {
		t.Errorf("%+v", got.Findings)
	}
}

// without is a source that has lost a message.
type without struct {
	check.Source
	lost uint64
}

func (s without) Messages(ctx context.Context, first uint64) iter.Seq2[eventlog.Stored, error] {
	return func(yield func(eventlog.Stored, error) bool) {
		for m, err := range s.Source.Messages(ctx, first) {
			if m.Seq != s.lost && !yield(m, err) {
				return
			}
		}
	}
}

// FuzzOpen opens and checks anything.
func FuzzOpen(f *testing.F) {
	_, log := quiet(f, 6, 3)
	for _, to := range []string{"tick:1", ""} {
		f.Add(written(f, check.OnBroker(log), contents(log, between(f, log, "", to))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Open(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		report, err := checked(t.Context(), b)
		_, _ = b.Head(nil)
		_, _ = b.Trust()
		if err == nil && report.Events > uint64(len(data)) {
			t.Errorf("%d events in %d bytes", report.Events, len(data))
		}
	})
}

func ExampleFormError() {
	fmt.Println(&bundle.FormError{File: "HEAD", Offset: 512, Err: errors.New("it ends early")})
	// Output: bundle is damaged at byte 512 in or behind HEAD: it ends early
}
