package producers_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"
)

// provoked are the reasons that the tests of this package have made a producer
// give, and have found where they wanted them.
var provoked = reasons{seen: map[events.Reason]bool{}}

type reasons struct {
	mu   sync.Mutex
	seen map[events.Reason]bool
}

func (r *reasons) note(all ...events.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reason := range all {
		r.seen[reason] = true
	}
}

// of notes the reasons of findings.
func (r *reasons) of(findings []events.Finding) {
	for _, f := range findings {
		switch f := f.(type) {
		case *events.FleetRejected:
			r.note(f.Reason)
		case *events.RolloutRejected:
			r.note(f.Reason)
		case *events.CrossCheckFailed:
			r.note(events.Reason(f.Check))
		case *events.ChannelIdle:
			r.note(f.Reason)
		}
	}
}

// TestMain demands, when all tests have run, that every reason was provoked.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, filter := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(filter).Value.String() != "" {
			os.Exit(code)
		}
	}
	for _, reason := range slices.Concat(events.Refusals(), events.Misses(),
		[]events.Reason{events.NoClosure, events.Removed, events.CheckFleetHash, events.CheckHostSet}) {
		// Canonicalize is the contract's; whatever has no canonical form does not
		// parse here, so that nothing provokes it.
		if !provoked.seen[reason] && reason != events.Reason(manifest.KindCanonicalize) {
			fmt.Fprintf(os.Stderr, "no test of this package provokes %s\n", reason)
			code = 1
		}
	}
	os.Exit(code)
}

// signedAnew is the release with its fleet edited and signed again.
func signedAnew(t *testing.T, release fleetsim.Release, old, changed string) fleetsim.Release {
	t.Helper()
	const name = "fleet.resolved.json"
	body := bytes.Replace(release[name].Data, []byte(old), []byte(changed), 1)
	if bytes.Equal(body, release[name].Data) {
		t.Fatalf("the fleet has no %s", old)
	}
	received, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	return edit(edit(release, name, received.Body), name+".sig", received.Signature)
}

// TestTickGivesTheReasonsOfVerification provokes those that nothing else here
// does.
func TestTickGivesTheReasonsOfVerification(t *testing.T) {
	release := sign(t, fleet())
	const fleetFile = "fleet.resolved.json"
	endless := bytes.Replace(release[fleetFile].Data, []byte("{"), []byte(`{"huge":1e400,`), 1)
	swapped := edit(release, rolloutFile(t, release, c0), release[rolloutFile(t, release, c1)].Data)
	swapped = edit(swapped, rolloutFile(t, release, c0)+".sig", release[rolloutFile(t, release, c1)+".sig"].Data)
	at := signedAt.UTC().Format(time.RFC3339)
	trust := func(old, changed string) []byte {
		text := bytes.Replace(signer.Trust(), []byte(old), []byte(changed), 1)
		if bytes.Equal(text, signer.Trust()) {
			t.Fatalf("the trust file has no %s: %s", old, text)
		}
		return text
	}
	for _, c := range []struct {
		release fleetsim.Release
		trust   []byte
		want    string
	}{
		{release, []byte(`{"ciReleaseKey":{"current":null},"schemaVersion":1}`), "fleet verify NoTrustRoots"},
		{release, trust(`"ed25519"`, `"rsa"`), "fleet verify UnsupportedAlgorithm"},
		{release, trust(`{"ciReleaseKey":{`, `{"ciReleaseKey":{"rejectBefore":"2026-06-01T00:00:00Z",`), "fleet verify RejectedBeforeTimestamp"},
		{edit(release, fleetFile, []byte("{")), signer.Trust(), "fleet verify Parse"},
		{edit(release, fleetFile, endless), signer.Trust(), "fleet verify Parse"},
		{signedAnew(t, release, `"schemaVersion":1,"waves"`, `"schemaVersion":2,"waves"`), signer.Trust(), "fleet verify SchemaVersionUnsupported"},
		{signedAnew(t, release, `"signedAt":"`+at+`"`, `"signedAt":null`), signer.Trust(), "fleet verify NotSigned"},
		{swapped, signer.Trust(), c0 + " verify Mismatch"},
	} {
		s := newStation(c.release)
		s.trust = c.trust
		r := s.tick(t, time.Minute)
		if got := said(r); !slices.Contains(got, c.want) {
			t.Errorf("want %s, got %q", c.want, got)
			continue
		}
		provoked.of(r.Findings)
	}
}

// TestReasonsOfMissedTicks keeps one tick out of the log by each error that can.
func TestReasonsOfMissedTicks(t *testing.T) {
	w, b := writerKey(t, 1), brokertest.Start(t)
	log := newLog(t, b, w)
	number := uint64(0)
	for _, c := range []struct {
		err  error
		want events.Reason
	}{
		{eventlog.ErrUnavailable, events.BrokerUnavailable},
		{eventlog.ErrLogFull, events.LogFull},
		{eventlog.ErrContention, events.Contention},
		{producers.ErrClockSkew, events.ClockSkew},
	} {
		config := log.config(producers.NewDirectory(sign(t, fleet())), w)
		config.Clock = new(standing).now
		failed := false
		config.Open = func(context.Context) (*eventlog.Log, error) {
			if !failed {
				failed = true
				return nil, fmt.Errorf("append: %w", c.err)
			}
			return log.Log, nil
		}
		number++
		ticks := log.run(t, config, number)
		m := ticks[number-1].Completed.Missed
		if m == nil || m.Ticks != 1 || m.Reason != c.want {
			t.Errorf("after %v: missed %+v, want 1 for %s", c.err, m, c.want)
			continue
		}
		provoked.note(m.Reason)
	}
}

// TestChannelThatLeavesIsSaid once, as removed.
func TestChannelThatLeavesIsSaid(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	log.once(t, log.config(producers.NewDirectory(sign(t, fleet())), w))
	smaller := fleet()
	smaller.Idle, smaller.SignedAt = 0, signedAt.Add(time.Minute)
	tick := log.once(t, log.config(producers.NewDirectory(sign(t, smaller)), w))
	for _, f := range tick.Findings {
		if idle, ok := f.(*events.ChannelIdle); ok && idle.Channel == c2 && idle.Reason == events.Removed {
			provoked.of(tick.Findings)
			return
		}
	}
	t.Errorf("findings %+v, want %s removed", tick.Findings, c2)
}
