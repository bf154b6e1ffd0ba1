package process

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
)

// Notifier tells systemd how the process fares (sd_notify). It does nothing when
// the process was not started by systemd with Type=notify.
type Notifier struct {
	log   logrus.FieldLogger
	every time.Duration // between two signs of life; 0: no watchdog

	mu       sync.Mutex
	ready    bool
	last     time.Time // of the last sign of life
	status   string    // that was sent last
	extended time.Time // when a longer start was asked for last
}

const (
	// startExtension is what a start that goes on asks for, again and again.
	startExtension = time.Minute
	// extendEvery is how often it does so while its status stays the same.
	extendEvery = time.Second
)

// NewNotifier reads the watchdog's interval from the environment. Errors are
// logged: no process stops because its supervisor does not listen.
func NewNotifier(log logrus.FieldLogger) *Notifier {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.WithError(err).Warn("watchdog is off")
	}
	return &Notifier{log: log, every: interval / 4}
}

// Ready says that the process serves. What is said more than once counts once.
func (n *Notifier) Ready() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready {
		n.ready = true
		n.send(daemon.SdNotifyReady)
	}
}

// StopWith waits for ctx to end and says that the process is on its way out.
// It returns nil.
func (n *Notifier) StopWith(ctx context.Context) error {
	<-ctx.Done()
	n.send(daemon.SdNotifyStopping)
	return nil
}

// Status is the line that systemctl status shows; the same one again costs
// nothing. It is to be called at every step of a long start, as often as it likes:
// until [Notifier.Ready] it asks for another minute, too, before the start counts
// as failed. What is stuck does not call it, and fails.
func (n *Notifier) Status(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	state := "STATUS=" + oneLine(text)
	now, changed := time.Now(), state != n.status
	n.status = state
	switch {
	case n.ready && changed:
		n.send(state)
	case !n.ready && (changed || now.Sub(n.extended) >= extendEvery):
		n.extended = now
		n.send(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", state, startExtension.Microseconds()))
	}
}

// Watchdog is to be called whenever the process has made progress, as often as
// it likes: what is stuck does not call it, and is restarted.
func (n *Notifier) Watchdog() {
	if n.every == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if !n.last.IsZero() && now.Sub(n.last) < n.every {
		return
	}
	n.last = now
	n.send(daemon.SdNotifyWatchdog)
}

// WatchdogEvery is how often Watchdog should be called at least while there is
// nothing to do; 0 when there is no watchdog.
func (n *Notifier) WatchdogEvery() time.Duration { return n.every }

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.WithError(err).Warn("systemd cannot be told")
	}
}
