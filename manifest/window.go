package manifest

import (
	"cmp"
	"slices"
)

// ChannelWindows let the signed fleet say how old signatures may be: a manifest
// as old as its channel's freshnessWindow, the fleet as old as the longest of
// them; but none less than Floor and none more than Cap.
type ChannelWindows struct {
	Floor Window `json:"floorSecs"`
	Cap   Window `json:"capSecs"`
}

// secondsPerMinute: freshnessWindow is in minutes, every other window in seconds.
const secondsPerMinute = 60

func (c ChannelWindows) of(channel Channel) Window {
	return max(c.Floor, min(c.Cap, Window(channel.FreshnessWindow)*secondsPerMinute))
}

// FleetWindow is the window by which the policy judges the fleet.
func (p Policy) FleetWindow(f *Fleet) Window {
	if p.Channels == nil {
		return p.Window
	}
	window := p.Channels.Floor
	for _, c := range f.Channels {
		window = max(window, p.Channels.of(c))
	}
	return window
}

// For is the policy for the manifests of one of the fleet's channels.
func (p Policy) For(f *Fleet, channel string) Policy {
	if p.Channels == nil {
		return p
	}
	p.Window = p.Channels.Floor
	byName := func(c Channel, name string) int { return cmp.Compare(c.Name, name) }
	if i, found := slices.BinarySearchFunc(f.Channels, channel, byName); found {
		p.Window = p.Channels.of(f.Channels[i])
	}
	p.Channels = nil
	return p
}
