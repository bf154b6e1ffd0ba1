package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// HeartbeatFlags name a URL that is told of every success, such as that of a
// service which raises an alarm when it hears nothing. The URL may hold a secret:
// no error and no log line has it.
type HeartbeatFlags struct{ URL, File string }

// Flags registers the flags. when is the occasion, for the help text.
func (f *HeartbeatFlags) Flags(fs *pflag.FlagSet, when string) {
	fs.StringVar(&f.URL, "heartbeat-url", "", "https URL to get "+when+"; http to a loopback address, too")
	fs.StringVar(&f.File, "heartbeat-url-file", "", "file with that URL instead, mode 0600, read once")
}

// Heartbeat makes what the flags ask for; nil, on which Beat and Run do nothing,
// when they ask for none.
func (f *HeartbeatFlags) Heartbeat(log logrus.FieldLogger) (*Heartbeat, error) {
	flag, text := "--heartbeat-url", f.URL
	if f.File != "" {
		if f.URL != "" {
			return nil, errors.New("give --heartbeat-url or --heartbeat-url-file, not both")
		}
		data, err := ReadPrivateFile(f.File)
		if err != nil {
			return nil, fmt.Errorf("read --heartbeat-url-file: %w", err)
		}
		flag, text = "--heartbeat-url-file", strings.TrimSpace(string(data))
	} else if f.URL == "" {
		return nil, nil
	}
	if err := checkHeartbeat(text); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return &Heartbeat{url: text, log: log, beats: make(chan struct{}, 1), timeout: heartbeatTimeout}, nil
}

// checkHeartbeat refuses to send a secret in the clear.
func checkHeartbeat(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return errors.New("it is no URL: want https://host/path")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("it is neither https nor http to a loopback address")
	}
	return nil
}

// heartbeatTimeout bounds one request.
const heartbeatTimeout = 5 * time.Second

// Heartbeat gets a URL.
type Heartbeat struct {
	url     string
	log     logrus.FieldLogger
	beats   chan struct{}
	timeout time.Duration
}

// Beat asks for a request, and returns at once: one that is under way is not
// waited for, and further ones that are asked for meanwhile are one.
func (h *Heartbeat) Beat() {
	if h == nil {
		return
	}
	select {
	case h.beats <- struct{}{}:
	default:
	}
}

// Run makes the requests until ctx ends, which gives nil. That they fail, and that
// they no longer do, is logged once.
func (h *Heartbeat) Run(ctx context.Context) error {
	if h == nil {
		return nil
	}
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-h.beats:
		}
		err := h.get(ctx, client)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case err != nil && !failing:
			h.log.WithError(err).Warn("heartbeat URL does not take the heartbeat")
		case err == nil && failing:
			h.log.Info("heartbeat URL takes the heartbeat again")
		}
		failing = err != nil
	}
}

// get makes one request. Its error does not name the URL.
func (h *Heartbeat) get(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return errors.New("it is no URL")
	}
	response, err := client.Do(request)
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("answer is %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return nil
}
