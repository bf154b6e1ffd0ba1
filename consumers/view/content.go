package view

import (
	"fmt"
	"slices"
	"strconv"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Told is what a host is told to run by the manifest of its channel.
type Told struct {
	Channel string `json:"channel"`
	Closure string `json:"closure"`
	Wave    uint32 `json:"wave"`
}

// Content is a set with what its artifacts say.
type Content struct {
	Set      Set
	Told     map[string]Told           // by host
	Settings map[string]jsontext.Value // whatever else the fleet says, by path
}

// ContentOf reads the bodies of the artifacts that the set names. It verifies
// nothing: whether they were verified the set says.
func ContentOf(set Set, fleet []byte, rollouts map[string][]byte) (*Content, error) {
	c := &Content{Set: set, Told: make(map[string]Told), Settings: make(map[string]jsontext.Value)}
	if set.Fleet == nil {
		return c, nil
	}
	if err := c.readFleet(fleet); err != nil {
		return nil, fmt.Errorf("read fleet.resolved.json: %w", err)
	}
	for channel, body := range rollouts {
		if _, ok := set.Rollouts[channel]; !ok {
			continue
		}
		hosts, err := HostSet(body)
		if err != nil {
			return nil, fmt.Errorf("read rollout of channel %q: %w", channel, err)
		}
		for host, told := range hosts {
			told.Channel = channel
			c.Told[host] = told
		}
	}
	return c, nil
}

// HostSet is what a manifest tells its hosts, without the channel.
func HostSet(body []byte) (map[string]Told, error) {
	var said struct {
		HostSet []struct {
			Hostname string `json:"hostname"`
			Closure  string `json:"targetClosure"`
			Wave     uint32 `json:"waveIndex"`
		} `json:"hostSet"`
	}
	if _, err := read(body, &said); err != nil {
		return nil, err
	}
	hosts := make(map[string]Told, len(said.HostSet))
	for _, h := range said.HostSet {
		hosts[h.Hostname] = Told{Closure: h.Closure, Wave: h.Wave}
	}
	return hosts, nil
}

// readFleet takes every setting of the fleet but its envelope, which the set
// has, and the closures, which are told by manifests.
func (c *Content) readFleet(body []byte) error {
	var whole map[string]any
	if _, err := read(body, &whole); err != nil {
		return err
	}
	delete(whole, "meta")
	hosts, _ := whole["hosts"].(map[string]any)
	for _, host := range hosts {
		if members, ok := host.(map[string]any); ok {
			delete(members, "closureHash")
		}
	}
	for name, value := range whole {
		if err := c.flatten(name, value); err != nil {
			return err
		}
	}
	return nil
}

// flatten takes the value apart down to what is no object, and no array that
// holds one.
func (c *Content) flatten(path string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if err := c.flatten(path+step(name), member); err != nil {
				return err
			}
		}
		if len(v) > 0 {
			return nil
		}
	case []any:
		if slices.ContainsFunc(v, isTree) {
			for i, element := range v {
				if err := c.flatten(path+"["+strconv.Itoa(i)+"]", element); err != nil {
					return err
				}
			}
			return nil
		}
	}
	text, err := json.Marshal(value, json.Deterministic(true))
	c.Settings[path] = text
	return err
}

func isTree(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// step names a member, quoted where it could be taken for something else.
func step(name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return "[" + strconv.Quote(name) + "]"
		}
	}
	if name == "" {
		return `[""]`
	}
	return "." + name
}

// Channel is the channel that the fleet gives the host, if it has the host.
func (c *Content) Channel(host string) (string, bool) {
	value, ok := c.Settings["hosts"+step(host)+".channel"]
	if !ok {
		return "", false
	}
	var name string
	err := json.Unmarshal(value, &name)
	return name, err == nil
}

// BodiesOf are the received bytes of a verified set.
func BodiesOf(set *manifest.Set) (fleet []byte, rollouts map[string][]byte) {
	rollouts = make(map[string][]byte)
	if set == nil {
		return nil, rollouts
	}
	for _, r := range set.Rollouts() {
		rollouts[r.Value().Channel] = r.Received().Body
	}
	return set.Fleet().Received().Body, rollouts
}
