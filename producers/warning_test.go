package producers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/internal/broker/brokertest"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// TestAgingSignaturesAreWarnedOf polls one release as it grows old, and counts
// the lines about it.
func TestAgingSignaturesAreWarnedOf(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	logger, hook := logtest.NewNullLogger()
	config.Log = logger
	var now time.Time
	config.Clock = func() time.Time { return now }
	poller := producers.NewPoller(config)
	for _, c := range []struct {
		age  time.Duration
		want int // lines so far
	}{
		{time.Minute, 0}, {44 * time.Minute, 0}, {45 * time.Minute, 1}, {46 * time.Minute, 1}, {59 * time.Minute, 1},
	} {
		now = signedAt.Add(c.age)
		if _, err := poller.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for _, entry := range hook.AllEntries() {
			if entry.Level == logrus.WarnLevel && entry.Data["freshUntil"] != nil {
				lines++
			}
		}
		if lines != c.want {
			t.Errorf("age %s: %d warnings so far, want %d", c.age, lines, c.want)
		}
	}
}

// TestTickByChannelWindows polls a release that is too old for the one window,
// and not for its channels' own.
func TestTickByChannelWindows(t *testing.T) {
	s := newStation(sign(t, fleet())) // its channels say three hours
	wantSaid(t, s.tick(t, 2*time.Hour), "fleet verify Stale")
	s.poll.Channels = &manifest.ChannelWindows{Floor: 3600, Cap: 24 * 3600}
	wantSaid(t, s.tick(t, 2*time.Hour), allVerified...)
	wantSaid(t, s.tick(t, 3*time.Hour+time.Minute+time.Second), "fleet verify Stale")
	s.poll.Channels.Cap = 3600
	wantSaid(t, s.tick(t, 2*time.Hour), "fleet verify Stale")
}

// TestContentIsWarnedOfOnce records a fleet with a number that readers may round.
func TestContentIsWarnedOfOnce(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	release := sign(t, fleet())
	odd := strings.Replace(string(release["fleet.resolved.json"].Data), "{", `{"x":0.5,`, 1)
	signed, err := signer.Sign([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	config := log.config(producers.NewDirectory(fstest.MapFS{
		"fleet.resolved.json": {Data: signed.Body}, "fleet.resolved.json.sig": {Data: signed.Signature},
	}), w)
	logger, hook := logtest.NewNullLogger()
	config.Log = logger
	poller := producers.NewPoller(config)
	for range 3 {
		if _, err := poller.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lines := 0
	for _, entry := range hook.AllEntries() {
		if entry.Data["warning"] != nil {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("%d warnings of the content, want 1", lines)
	}
}

// TestKeysThatVerifyNothingAreWarnedOf, once for every change, while another key
// verifies everything.
func TestKeysThatVerifyNothingAreWarnedOf(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	good := string(signer.Trust())
	broken := strings.Replace(good, `"ciReleaseKey":{`, `"ciReleaseKey":{"previous":{"algorithm":"ed25519","public":"%s"},`, 1)
	var trust string
	config.Poll.Trust = func() ([]byte, error) { return []byte(trust), nil }
	logger, hook := logtest.NewNullLogger()
	config.Log = logger
	poller := producers.NewPoller(config)
	var lines []string
	for _, trust = range []string{
		good, strings.Replace(broken, "%s", "!", 1), strings.Replace(broken, "%s", "!", 1), "{", strings.Replace(broken, "%s", "!", 1),
		strings.Replace(broken, "%s", "AAAA", 1), good, strings.Replace(broken, "%s", "AAAA", 1),
	} {
		if _, err := poller.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range hook.AllEntries() {
		if warning := entry.Data["warning"]; warning != nil {
			lines = append(lines, fmt.Sprint(warning))
		}
	}
	base64, short := "[ciReleaseKey.previous verifies nothing: it is not base64]", "[ciReleaseKey.previous verifies nothing: it has 3 bytes, want 32]"
	if want := []string{base64, short, short}; !slices.Equal(lines, want) {
		t.Errorf("warnings %q, want %q", lines, want)
	}
}
