package fleetlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// TestSlowReader stalls the reducer's line until the broker cuts it for being
// slow: it says that the line was lost, and catches up without a loss.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte(`write_deadline: "100ms"`), 0o600); err != nil {
		t.Fatal(err)
	}
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	o := newOutage(t, func(c *broker.Config) { c.ConfigFile, c.Log, c.NoSync = config, logger, true })
	proxy := brokertest.NewProxy(t, o.broker)
	reducer := o.runReducer(proxy.URL())
	o.tick()
	o.reaches()
	before := o.served()

	resume := proxy.Stall()
	defer resume()
	junk, js := make([]byte, 60<<10), o.admin() // more than any buffer on the way holds
	cut := func() bool {
		return slices.ContainsFunc(hook.AllEntries(), func(e *logrus.Entry) bool { return strings.Contains(e.Message, "Slow Consumer") })
	}
	count := uint64(0)
	for ; !cut() && count < 800; count++ {
		_, err := js.Publish(t.Context(), "nixfleet.prod.event.ChannelIdle.junk", junk)
		o.must(err)
	}
	o.until("the broker cuts the line", cut)
	o.holds(before)
	resume()
	o.renew("bbbb")
	o.tick()
	o.reaches()
	if !o.reads.comesToSay(logrus.WarnLevel, "connection to the broker lost") || !o.reads.comesToSay(logrus.InfoLevel, "connected to the broker again") {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	if !o.reads.comesToSay(logrus.WarnLevel, "noise in the log, not applied", fmt.Sprint("total:", count)) {
		t.Errorf("not all of %d foreign messages were told of", count)
	}
	o.must(reducer.stop())
	o.checked(count)
}

// permitted is a broker whose users' rights can be changed while it runs.
type permitted struct {
	t      *testing.T
	listen string
	file   string
	store  string
	server *server.Server
}

// rights are what a user may publish to.
type rights map[string][]string

func allRights() rights {
	return rights{
		"poller": {"nixfleet.prod.event.>", "nixfleet-artifact.prod.>", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>"},
		"reducer": {"$JS.API.STREAM.INFO.*", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DELETE.>",
			"$JS.API.CONSUMER.MSG.NEXT.>"},
	}
}

func newPermitted(t *testing.T) *permitted {
	t.Helper()
	dir := t.TempDir()
	p := &permitted{t: t, listen: "127.0.0.1:-1", file: filepath.Join(dir, "nats.conf"), store: filepath.Join(dir, "store")}
	p.start(allRights())
	p.listen = strings.TrimPrefix(p.server.ClientURL(), "nats://")
	t.Cleanup(p.stop)
	return p
}

func (p *permitted) start(r rights) {
	p.t.Helper()
	p.write(r)
	options, err := server.ProcessConfigFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if p.server, err = server.NewServer(options); err != nil {
		p.t.Fatal(err)
	}
	p.server.Start()
	if !p.server.ReadyForConnections(20 * time.Second) {
		p.t.Fatal("the server does not start")
	}
}

func (p *permitted) stop() {
	p.server.Shutdown()
	p.server.WaitForShutdown()
}

// write writes the config file.
func (p *permitted) write(r rights) {
	p.t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "listen: %q\njetstream { store_dir: %q }\n", p.listen, p.store)
	fmt.Fprintf(&text, "authorization { users: [\n{ user: admin, password: x }\n")
	for _, user := range []string{"poller", "reducer"} {
		fmt.Fprintf(&text, "{ user: %s, password: x, permissions { publish: { allow: [%q] }, subscribe: \"_INBOX.>\" } }\n",
			user, strings.Join(r[user], `","`))
	}
	text.WriteString("] }\n")
	plain := strings.ReplaceAll(text.String(), `\"`, `"`)
	if err := os.WriteFile(p.file, []byte(plain), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// set takes other rights into force, by a restart: the server's own reload races
// with the requests that it answers.
func (p *permitted) set(r rights) {
	p.t.Helper()
	p.stop()
	p.start(r)
}

func (p *permitted) url(user string) string {
	return strings.Replace(p.server.ClientURL(), "nats://", "nats://"+user+":x@", 1)
}

// TestRightsTaken takes rights from the users while they work: the lines name the
// permission that is missing, and everything goes on when it is given back.
func TestRightsTaken(t *testing.T) {
	t.Parallel()
	p := newPermitted(t)
	o := newOutageAt(t, p.url("admin"))
	o.config.TickTimeout = time.Second
	o.pollVia(p.url("poller"))
	proxy := brokertest.NewProxyOf(t, p.server.ClientURL())
	poller, reducer := o.runPoller(), o.runReducer(strings.Replace(proxy.URL(), "nats://", "nats://reducer:x@", 1))
	o.reaches()
	before := o.served()

	less := allRights()
	less["poller"] = less["poller"][1:]
	p.set(less)
	o.until("poller not ready", func() bool { return o.poll.unready("broker unavailable") })
	const permit = "broker does not permit this user what it must do: give it this permission"
	o.until("poller names it", func() bool {
		return o.poll.said(logrus.ErrorLevel, permit, `Permissions Violation for Publish to "nixfleet.prod.event.TickCompleted"`)
	})
	p.set(allRights())
	o.grows(1)
	o.until("poller ready", o.poll.isReady)

	less = allRights()
	less["reducer"] = less["reducer"][:2]
	p.set(less)
	proxy.HangUp() // what it has asked for before goes on for half a minute
	o.renew("bbbb")
	o.until("reducer not ready", func() bool { return o.reads.unready("follow nixfleet-prod-events: broker unavailable") })
	o.until("reducer names it", func() bool {
		return o.reads.said(logrus.ErrorLevel, permit, `Permissions Violation for Publish to "$JS.API.CONSUMER.CREATE.nixfleet-prod-events.`)
	})
	o.holds(before)
	p.set(allRights())
	o.reaches()
	o.must(poller.stop())
	o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
	o.must(reducer.stop())
	o.checked(0)
}
