package eventlog_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"io"
	"testing"

	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
)

// faultySigner is a key whose device makes bad signatures while broken.
type faultySigner struct {
	ed25519.PrivateKey
	broken bool
}

func (s *faultySigner) Sign(random io.Reader, text []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.PrivateKey.Sign(random, text, opts)
	if s.broken {
		signature[0] ^= 1
	}
	return signature, err
}

// TestBadSignature: a key that signs badly from the start stores nothing. One that
// does so later ends the attempt, the next tick is written behind the noise, and
// nothing is stored on the word of the key alone until it has signed well again.
func TestBadSignature(t *testing.T) {
	device := &faultySigner{PrivateKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
	key, err := events.NewWriter(device)
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, brokertest.Start(t, func(c *broker.Config) { c.NoSync = true }))
	s := &scene{straight: provision(t, nc, key)}
	w := newWriter(t, s.straight)
	for number, c := range []struct {
		broken       bool
		ticks, noise int // in the log
	}{
		{true, 0, 0}, {false, 1, 0}, {false, 2, 0}, {true, 2, 1}, {true, 2, 1}, {false, 3, 1}, {false, 4, 1},
	} {
		device.broken = c.broken
		tick, err := appendTick(t.Context(), w, key, draft(uint64(number+1), 1, 0))
		if (err != nil) != c.broken || (tick == nil) != c.broken {
			t.Errorf("attempt %d: %v, %v", number, tick, err)
		}
		s.wantLog(t, c.ticks, c.noise)
	}
}
