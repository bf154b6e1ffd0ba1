package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestFreshnessFromChannels judges a fleet of three channels, whose windows are
// an hour, three hours and a year, and one manifest of each, at growing ages.
func TestFreshnessFromChannels(t *testing.T) {
	body := twoChannels
	for channel, minutes := range map[string]int{"stable": 180, "idle": 525600} {
		body = strings.Replace(body, fmt.Sprintf(`"%s":{"rolloutPolicy":"all","reconcileIntervalMinutes":30,"freshnessWindow":60`, channel),
			fmt.Sprintf(`"%s":{"rolloutPolicy":"all","reconcileIntervalMinutes":30,"freshnessWindow":%d`, channel, minutes), 1)
	}
	fleet := verifiedFleet(t, alice, body)
	policy := Policy{Trust: trusting(t, alice.slot("current")), Window: 60, Channels: &ChannelWindows{Floor: 7200, Cap: 14400}}
	manifests := map[string]Received{}
	for channel, text := range projected(fleet) {
		manifests[channel] = alice.sign(t, text)
	}
	for _, c := range []struct {
		age  time.Duration
		want string // channels in the set; none when the fleet is stale
	}{
		{2*time.Hour + time.Minute, "edge stable"}, // the floor is above edge's hour
		{2*time.Hour + time.Minute + 1, "stable"},
		{3*time.Hour + time.Minute, "stable"},
		{3*time.Hour + time.Minute + 1, ""},
		{4*time.Hour + time.Minute, ""}, // the cap is below idle's year
		{4*time.Hour + time.Minute + 1, "stale"},
	} {
		policy.Now = signedAt.Add(c.age)
		set, _, err := Assemble(alice.sign(t, body), manifests, Composite, policy)
		var got []string
		if err != nil {
			wantKind(t, err, KindStale)
			got = []string{"stale"}
		} else {
			for _, r := range set.Rollouts() {
				got = append(got, r.Value().Channel)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("age %s: %q, want %q", c.age, got, c.want)
		}
	}
}
