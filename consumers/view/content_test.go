package view_test

import (
	"testing"

	"fleetlog/consumers/view"
	"fleetlog/internal/fleetsim"
)

// FuzzContentOf: whatever artifacts say is read or refused, and what is read is
// the same as itself and differs from nothing.
func FuzzContentOf(f *testing.F) {
	fleet := fleetsim.Fleet{Hosts: 3, Channels: 1, Commit: "0a1b2c3d", SignedAt: epoch}
	release, err := fleet.Sign(signer)
	must(f, err)
	f.Add(release["fleet.resolved.json"].Data, release["rollouts/channel-000@0a1b2c3d.json"].Data)
	f.Add([]byte(`{"hosts":{"a.b":{"channel":1,"tags":[[],{}]}},"waves":{"":[{}]},"x":1e400}`), []byte(`{"hostSet":[{}]}`))
	f.Add([]byte(`{"hosts":{"a":{"channel":"c","tags":[]}},"\n":null}`), []byte(`{"hostSet":[{"hostname":"a","waveIndex":7}]}`))
	f.Fuzz(func(t *testing.T, fleet, rollout []byte) {
		set := view.Set{Rollouts: map[string]view.Rollout{"channel-000": {}}, Fleet: &view.Fleet{}}
		content, err := view.ContentOf(set, fleet, map[string][]byte{"channel-000": rollout, "other": []byte("not in the set")})
		if err != nil {
			return
		}
		if d := view.Compare(content, content); !d.Same || len(d.Hosts)+len(d.Settings) > 0 {
			t.Errorf("differs from itself: %+v", d)
		}
		for host := range content.Told {
			if content.Told[host].Channel != "channel-000" {
				t.Errorf("host %q is told by %q", host, content.Told[host].Channel)
			}
		}
		none, err := view.ContentOf(view.Set{}, nil, nil)
		must(t, err)
		if d := view.Compare(none, content); len(d.Hosts) != len(content.Told) || len(d.Settings) != len(content.Settings) {
			t.Errorf("compared with nothing: %d hosts and %d settings of %d and %d", len(d.Hosts), len(d.Settings), len(content.Told), len(content.Settings))
		}
	})
}

// TestChannelOfAHost is what the fleet says, whatever the host is called.
func TestChannelOfAHost(t *testing.T) {
	set := view.Set{Rollouts: map[string]view.Rollout{}, Fleet: &view.Fleet{}}
	content, err := view.ContentOf(set, []byte(`{"hosts":{"a.b":{"channel":"edge"},"":{"channel":"odd"},"c":{"channel":3}}}`), nil)
	must(t, err)
	for host, want := range map[string]string{"a.b": "edge", "": "odd"} {
		if got, ok := content.Channel(host); !ok || got != want {
			t.Errorf("host %q is in %q (%v), want %q", host, got, ok, want)
		}
	}
	for _, host := range []string{"c", "nosuch"} {
		if got, ok := content.Channel(host); ok {
			t.Errorf("host %q is in %q, want none", host, got)
		}
	}
}
