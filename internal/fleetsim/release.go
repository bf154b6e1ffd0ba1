package fleetsim

import (
	"fmt"
	"testing/fstest"
	"time"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Fleet says what a release is made of. The same value gives the same fleet.
type Fleet struct {
	Hosts    int // spread evenly over Channels
	Channels int
	Idle     int    // further channels that no host is in
	Older    bool   // the revision with `system`, compliance and content-hash ids
	Closures int    // generation of what the hosts run: another number changes every closure
	Commit   string // ciCommit; none when empty
	SignedAt time.Time
}

// Release is a signed release directory in memory.
type Release = fstest.MapFS

// ChannelName is the name of the n-th channel of every [Fleet], from 0.
func ChannelName(n int) string { return fmt.Sprintf("channel-%03d", n) }

// Sign makes the release directory of the fleet: what a control plane serves.
func (f Fleet) Sign(s *Signer) (Release, error) {
	body, err := f.body(s.algorithm)
	if err != nil {
		return nil, err
	}
	received, err := s.Sign(body)
	if err != nil {
		return nil, err
	}
	trust, err := manifest.ParseTrust(s.Trust())
	if err != nil {
		return nil, fmt.Errorf("sign release: %w", err)
	}
	fleet, err := manifest.VerifyFleet(received, manifest.Policy{Trust: trust, Now: f.SignedAt})
	if err != nil {
		return nil, fmt.Errorf("sign release: %w", err)
	}
	release := Release{}
	add(release, "fleet.resolved.json", received)
	for _, p := range manifest.Project(fleet, manifest.SchemeOf(fleet.Value())) {
		if p.Err != nil || p.Idle {
			continue
		}
		rollout, err := s.Sign(p.Manifest())
		if err != nil {
			return nil, err
		}
		add(release, "rollouts/"+p.ID.String()+".json", rollout)
	}
	return release, nil
}

func add(release Release, name string, r manifest.Received) {
	release[name] = &fstest.MapFile{Data: r.Body, Mode: 0o644}
	release[name+".sig"] = &fstest.MapFile{Data: r.Signature, Mode: 0o644}
}

// body is fleet.resolved.json in canonical form, as producers write it.
func (f Fleet) body(algorithm string) ([]byte, error) {
	hosts, channels, waves := map[string]any{}, map[string]any{}, map[string]any{}
	for n := range f.Channels + f.Idle {
		channels[ChannelName(n)] = f.channel()
	}
	first := make(map[string][]string)
	for n := range f.Hosts {
		name, channel := fmt.Sprintf("host-%06d", n), ChannelName(n%max(1, f.Channels))
		hosts[name] = f.host(n, channel)
		if n%8 < 4 {
			first[channel] = append(first[channel], name)
		}
	}
	for channel, names := range first {
		waves[channel] = []any{map[string]any{"hosts": names, "soakMinutes": 10}}
	}
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 1, "hosts": hosts, "channels": channels, "waves": waves,
		"rolloutPolicies": map[string]any{"staged": map[string]any{
			"strategy": "staged", "waves": []any{}, "onHealthFailure": "halt",
			"healthGate": map[string]any{"systemdFailedUnits": map[string]any{"max": 0}},
		}},
		"edges": []any{}, "channelEdges": []any{}, "disruptionBudgets": []any{},
		"meta": map[string]any{
			"schemaVersion": 1, "signedAt": f.SignedAt.UTC().Format(time.RFC3339Nano),
			"ciCommit": optional(f.Commit), "signatureAlgorithm": algorithm,
		},
	})
	if err == nil {
		err = (*jsontext.Value)(&data).Canonicalize()
	}
	if err != nil {
		return nil, fmt.Errorf("make fleet: %w", err)
	}
	return data, nil
}

func (f Fleet) channel() map[string]any {
	channel := map[string]any{
		"rolloutPolicy": "staged", "reconcileIntervalMinutes": 30,
		"freshnessWindow": 180, "signingIntervalMinutes": 60,
	}
	if f.Older {
		channel["compliance"] = map[string]any{"frameworks": []string{"anssi-bp028"}, "mode": "enforce"}
	}
	return channel
}

func (f Fleet) host(n int, channel string) map[string]any {
	closure := manifest.Sum(fmt.Appendf(nil, "%d/%d", f.Closures, n)).String()
	host := map[string]any{
		"tags": []string{"role-web"}, "channel": channel, "pubkey": nil,
		"closureHash": closure[:32] + fmt.Sprintf("-nixos-system-host-%06d-26.05", n),
	}
	if f.Older {
		host["system"] = "x86_64-linux"
	} else {
		host["platform"] = "x86_64-linux"
	}
	return host
}

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}
