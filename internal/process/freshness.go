package process

import (
	"errors"

	"fleetlog/manifest"

	"github.com/spf13/pflag"
)

// Freshness is what the flags say about how old signatures may be.
type Freshness struct {
	window, floor, ceiling uint64 // seconds
	fromChannels           bool
}

// Flags registers the flags; window is the name of the first.
func (f *Freshness) Flags(fs *pflag.FlagSet, window string) {
	fs.Uint64Var(&f.window, window, 3600, "how old a signature may be, in seconds; 60 s of slack come on top")
	fs.BoolVar(&f.fromChannels, "freshness-from-channels", false, "let the signed freshnessWindow of each channel say that instead, the longest for the fleet itself; the same for poller and reducers")
	fs.Uint64Var(&f.floor, "freshness-floor-secs", 3600, "with --freshness-from-channels: no window is shorter, in seconds")
	fs.Uint64Var(&f.ceiling, "freshness-cap-secs", 7*24*3600, "with --freshness-from-channels: no window is longer, in seconds")
}

// Validate refuses limits that contradict each other.
func (f Freshness) Validate() error {
	if f.fromChannels && f.floor > f.ceiling {
		return errors.New("--freshness-floor-secs is larger than --freshness-cap-secs")
	}
	return nil
}

// Window is the window that holds where channels do not say it.
func (f Freshness) Window() manifest.Window { return manifest.Window(f.window) }

// Policy has the windows and nothing else.
func (f Freshness) Policy() manifest.Policy {
	return manifest.Policy{Window: f.Window(), Channels: f.Channels()}
}

// Channels are the limits within which channels say it; nil when they do not.
func (f Freshness) Channels() *manifest.ChannelWindows {
	if !f.fromChannels {
		return nil
	}
	return &manifest.ChannelWindows{Floor: manifest.Window(f.floor), Cap: manifest.Window(f.ceiling)}
}
