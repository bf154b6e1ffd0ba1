package logtest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// press signs messages side by side and publishes them in order.
type press struct {
	js      jetstream.JetStream
	key     ed25519.PrivateKey
	lineage string
	work    chan *sheet
	order   chan *sheet
	signers sync.WaitGroup
	printed chan error
}

// sheet is a message; done is closed when it is signed.
type sheet struct {
	message events.Message
	done    chan struct{}
}

// ahead is how many messages are made before the first of them is stored.
const ahead = 4000

// patience is how long a busy broker may take to store one of them.
const patience = time.Minute

func newPress(ctx context.Context, nc *nats.Conn, key ed25519.PrivateKey, lineage string) (*press, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(ahead))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	p := &press{
		js: js, key: key, lineage: lineage,
		work: make(chan *sheet, ahead), order: make(chan *sheet, ahead), printed: make(chan error, 1),
	}
	for range runtime.GOMAXPROCS(0) {
		p.signers.Go(p.sign)
	}
	go func() { p.printed <- p.print(ctx) }()
	return p, nil
}

// put takes the next message; one that ends a tick is signed where it is not.
func (p *press) put(m events.Message) {
	s := &sheet{m, make(chan struct{})}
	p.work <- s
	p.order <- s
}

// close waits until everything is stored. It returns err, or what went wrong
// here.
func (p *press) close(err error) error {
	close(p.work)
	close(p.order)
	p.signers.Wait()
	return errors.Join(err, <-p.printed)
}

func (p *press) sign() {
	for s := range p.work {
		m := s.message
		if len(m.Header["ce-type"]) == 1 && m.Header["ce-type"][0] == "io.nixfleet."+events.TypeTickCompleted && m.Header[events.SignatureHeader] == nil {
			text := "fleetlog/v1\n" + p.lineage + "\n" + manifest.Sum(m.Body).String()
			m.Header[events.SignatureHeader] = []string{base64.StdEncoding.EncodeToString(ed25519.Sign(p.key, []byte(text)))}
		}
		close(s.done)
	}
}

// print publishes; behind an error it only takes what is left.
func (p *press) print(ctx context.Context) (err error) {
	for s := range p.order {
		<-s.done
		if err != nil || ctx.Err() != nil {
			continue
		}
		_, err = p.js.PublishMsgAsync(&nats.Msg{Subject: s.message.Subject, Header: s.message.Header, Data: s.message.Body},
			jetstream.WithStallWait(patience))
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	select {
	case <-p.js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
