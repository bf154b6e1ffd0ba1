package follower_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	eventsStream    = "nixfleet-prod-events"
	artifactsStream = "nixfleet-prod-artifacts"
)

// publish stores a message as it was stored before.
func (s *scene) publish(m events.Message) {
	s.t.Helper()
	again := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Body}
	for name, values := range m.Header {
		if !strings.HasPrefix(name, "Nats-") {
			again.Header[name] = values
		}
	}
	_, err := s.js.PublishMsg(s.t.Context(), again)
	must(s.t, err)
}

// publishSigned stores a body with a signature of the log's writer.
func (s *scene) publishSigned(leaf, body string) {
	s.t.Helper()
	text := "fleetlog/v1\n" + s.log.Lineage() + "\n" + manifest.Sum([]byte(body)).String()
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, []byte(text)))
	s.publish(events.Message{
		Subject: "nixfleet.prod.event." + leaf, Body: []byte(body),
		Header: map[string][]string{events.SignatureHeader: {signature}},
	})
}

// contents are all messages of a stream.
func (s *scene) contents(name string) (config jetstream.StreamConfig, messages []events.Message) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), name)
	must(s.t, err)
	info := stream.CachedInfo()
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := stream.GetMsg(s.t.Context(), seq)
		must(s.t, err)
		messages = append(messages, events.Message{Subject: m.Subject, Header: m.Header, Body: m.Data})
	}
	return info.Config, messages
}

// put makes the stream anew with the messages, but for those that are lost.
func (s *scene) put(config jetstream.StreamConfig, messages []events.Message, lost ...uint64) {
	s.t.Helper()
	ctx := s.t.Context()
	must(s.t, s.js.DeleteStream(ctx, config.Name))
	weak := config
	weak.DenyDelete, weak.DenyPurge = false, false
	stream, err := s.js.CreateStream(ctx, weak)
	must(s.t, err)
	for _, m := range messages {
		s.publish(m)
	}
	for _, seq := range lost {
		must(s.t, stream.DeleteMsg(ctx, seq))
	}
	_, err = s.js.UpdateStream(ctx, config)
	must(s.t, err)
}

// lose takes messages out of the events stream.
func (s *scene) lose(lost ...uint64) {
	s.t.Helper()
	config, messages := s.contents(eventsStream)
	s.put(config, messages, lost...)
}

// truncate takes everything behind the sequence out of the events stream, as a
// backup does that is put back; a poller that starts then goes on from there.
func (s *scene) truncate(last uint64) {
	s.t.Helper()
	config, messages := s.contents(eventsStream)
	s.put(config, messages[:last])
	s.restartPoller()
}

func (s *scene) restartPoller() {
	writer, err := events.NewWriter(s.key)
	must(s.t, err)
	s.newPoller(writer)
}

// loseArtifacts empties the artifacts stream, and returns what fills it again.
func (s *scene) loseArtifacts() (restore func()) {
	s.t.Helper()
	config, messages := s.contents(artifactsStream)
	s.put(config, nil)
	return func() {
		s.t.Helper()
		for _, m := range messages {
			s.publish(m)
		}
	}
}

// forget deletes both streams.
func (s *scene) forget() {
	s.t.Helper()
	for _, name := range []string{eventsStream, artifactsStream} {
		must(s.t, s.js.DeleteStream(s.t.Context(), name))
	}
}

// look reads `current` as any program may that knows releases: one whole set, or
// the test ends. "none" when it is not there.
func look(t testing.TB, path string) string {
	t.Helper()
	target, err := filepath.EvalSymlinks(filepath.Join(path, "current"))
	if os.IsNotExist(err) {
		return "none"
	}
	must(t, err)
	trust, err := manifest.ParseTrust(bothKeys(t))
	must(t, err)
	digest, err := wholeSet(target, trust)
	must(t, err)
	return digest
}

// wholeSet verifies a release directory: its fleet and a manifest for every
// channel that the directory holds one for, and nothing else.
func wholeSet(path string, trust *manifest.Trust) (string, error) {
	policy := manifest.Policy{Trust: trust, Now: epoch.AddDate(1, 0, 0), Window: manifest.Unlimited}
	fleet, err := pair(filepath.Join(path, "fleet.resolved.json"))
	if err != nil {
		return "", err
	}
	names, err := filepath.Glob(filepath.Join(path, "rollouts/*.json"))
	if err != nil {
		return "", err
	}
	verified, err := manifest.VerifyFleet(fleet, policy)
	if err != nil {
		return "", err
	}
	var rollouts []manifest.Verified[manifest.Rollout]
	for _, name := range slices.Sorted(slices.Values(names)) {
		received, err := pair(name)
		if err != nil {
			return "", err
		}
		id, err := manifest.ParseRolloutID(strings.TrimSuffix(filepath.Base(name), ".json"))
		if err != nil {
			return "", err
		}
		rollout, err := manifest.VerifyRollout(received, id, policy)
		if err != nil {
			return "", err
		}
		rollouts = append(rollouts, rollout)
	}
	set, err := manifest.NewSet(verified, rollouts, "")
	if err != nil {
		return "", err
	}
	return set.Digest().String(), nil
}

func pair(name string) (manifest.Received, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return manifest.Received{}, err
	}
	signature, err := os.ReadFile(name + ".sig")
	return manifest.Received{Body: body, Signature: signature}, err
}
