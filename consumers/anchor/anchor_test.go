package anchor_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/anchor"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/mod/sumdb/note"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
}

// write writes a log of so many ticks.
func write(t testing.TB, nc *nats.Conn, ticks int) *eventlog.Log {
	t.Helper()
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	log, err := producertest.Quiet{
		Fleet: fleet, Key: key(1), Signer: fleetsim.NewEd25519Signer(1), Begin: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		Ticks: ticks, Release: 1000, Hosts: 2, Channels: 1,
	}.Write(t.Context(), nc)
	must(t, err)
	return log
}

func dial(t testing.TB) *nats.Conn {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// noteAt is the anchor of a tick, as a note.
func noteAt(t testing.TB, log *eventlog.Log, tick uint64) []byte {
	t.Helper()
	at, err := log.At(t.Context(), eventlog.PointOfNumber(tick))
	must(t, err)
	m, err := log.Message(t.Context(), at.Head.Seq)
	must(t, err)
	a, err := anchor.Of(m, log.Writers())
	must(t, err)
	data, err := a.MarshalText()
	must(t, err)
	return data
}

// TestNote writes a note and reads it again.
func TestNote(t *testing.T) {
	log := write(t, dial(t), 3)
	data := noteAt(t, log, 3)
	lines := strings.Split(string(data), "\n")
	head, err := log.Head(t.Context())
	must(t, err)
	origin := "fleetlog/prod/" + log.Lineage()
	want := []string{origin, "3", base64.StdEncoding.EncodeToString(head.Digest[:])}
	if diff := cmp.Diff(want, lines[:3]); diff != "" || lines[4] != "" || !strings.HasPrefix(lines[5], "— "+origin+" ") || len(lines) != 7 {
		t.Errorf("note (-want +got):\n%s\n%s", diff, data)
	}
	read, err := anchor.Parse(data, log.Writers())
	must(t, err)
	if !reflect.DeepEqual(head, read.Head) {
		t.Errorf("head is %+v, want %+v", read.Head, head)
	}
	opening, err := log.Message(t.Context(), 1)
	must(t, err)
	opened, err := anchor.Of(opening, nil)
	must(t, err)
	text, err := opened.MarshalText()
	must(t, err)
	if again, err := anchor.Parse(text, log.Writers()); err != nil || again.Number != 0 || again.Digest != log.Opening().Digest {
		t.Errorf("opening: %+v, %v", again.Head, err)
	}
}

// TestWitnesses: signatures of others may be behind the writer's, and in front.
func TestWitnesses(t *testing.T) {
	log := write(t, dial(t), 1)
	data := noteAt(t, log, 1)
	private, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{3}, 100)), "witness.example")
	must(t, err)
	witness, err := note.NewSigner(private)
	must(t, err)
	text, signatures, _ := strings.Cut(string(data), "\n\n")
	alone, err := note.Sign(&note.Note{Text: text + "\n"}, witness)
	must(t, err)
	_, line, _ := strings.Cut(string(alone), "\n\n")
	for _, signed := range []string{signatures + line, line + signatures} {
		if _, err := anchor.Parse([]byte(text+"\n\n"+signed), log.Writers()); err != nil {
			t.Error(err)
		}
	}
	if _, err := anchor.Parse(alone, log.Writers()); err == nil {
		t.Error("a witness alone is believed")
	}
}

// TestChangedNote changes every byte of a note.
func TestChangedNote(t *testing.T) {
	log := write(t, dial(t), 2)
	data := noteAt(t, log, 2)
	for at := range data {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		if _, err := anchor.Parse(changed, nil); err == nil {
			t.Errorf("byte %d changed is not seen: %s", at, changed)
		}
	}
	var stranger events.PublicKey
	copy(stranger[:], key(9).Public().(ed25519.PublicKey))
	if _, err := anchor.Parse(data, []events.PublicKey{stranger}); err == nil || !strings.Contains(err.Error(), "is not accepted") {
		t.Errorf("another writer's note: %v", err)
	}
}

// TestMemory remembers the newest head, and finds a log that goes back.
func TestMemory(t *testing.T) {
	nc := dial(t)
	log := write(t, nc, 5)
	dir := filepath.Join(t.TempDir(), "state", "fleetlog")
	m := anchor.NewMemory(dir)
	known, err := m.Compare(t.Context(), log, "here")
	must(t, err)
	if len(known) > 0 {
		t.Errorf("knows %+v", known)
	}
	known, err = m.Compare(t.Context(), log, "here")
	must(t, err)
	if len(known) != 1 || known[0].Number != 5 {
		t.Errorf("knows %+v", known)
	}
	if seen, err := m.Seen(log.Fleet(), log.Lineage()); err != nil || seen.Number != 5 {
		t.Errorf("%+v, %v", seen, err)
	}

	// The log is made anew in its place.
	js, err := jetstream.New(nc)
	must(t, err)
	for _, name := range []string{"nixfleet-prod-events", "nixfleet-prod-artifacts"} {
		must(t, js.DeleteStream(t.Context(), name))
	}
	anew := write(t, nc, 7)
	var back *anchor.Regression
	for range 2 { // it is not taken for seen
		if _, err := m.Compare(t.Context(), anew, "here"); !errors.As(err, &back) || back.Known.Lineage != log.Lineage() {
			t.Errorf("another log in its place: %v", err)
		}
	}
	if _, err := m.Compare(t.Context(), anew, "there"); err != nil {
		t.Errorf("another log elsewhere: %v", err)
	}
}

// TestRegression: a log that was cut off, or rewritten, does not hold what was
// seen of it.
func TestRegression(t *testing.T) {
	nc := dial(t)
	log := write(t, nc, 5)
	ahead, err := anchor.Parse(noteAt(t, log, 5), nil)
	must(t, err)
	known := ahead.Known("here")
	must(t, anchor.Hold(t.Context(), log, known))
	for _, change := range []func(){
		func() { known.Number = 6 },
		func() { known.Number = 5; known.Digest[0] ^= 1 },
		func() { known.Lineage = "0c0c0c0c-1111-4222-8333-444444444444" },
	} {
		change()
		var back *anchor.Regression
		if err := anchor.Hold(t.Context(), log, known); !errors.As(err, &back) {
			t.Errorf("%+v: %v", known, err)
		}
	}
}

// TestDamagedMemory says which file to remove.
func TestDamagedMemory(t *testing.T) {
	log := write(t, dial(t), 1)
	dir := t.TempDir()
	m := anchor.NewMemory(dir)
	_, err := m.Compare(t.Context(), log, "here")
	must(t, err)
	path := filepath.Join(dir, "prod", log.Lineage()+".head")
	must(t, os.WriteFile(path, []byte("x"), 0o600))
	if _, err := m.Compare(t.Context(), log, "here"); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	log := write(f, dial(f), 2)
	f.Add(noteAt(f, log, 1))
	f.Add(noteAt(f, log, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := anchor.Parse(data, nil)
		if err != nil {
			return
		}
		again, err := a.MarshalText()
		must(t, err)
		text, _, _ := strings.Cut(string(data), "\n\n")
		if !strings.HasPrefix(string(again), text+"\n\n") {
			t.Errorf("%s\nis read as\n%s", data, again)
		}
	})
}
