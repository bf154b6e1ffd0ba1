package broker

import (
	"fmt"
	"sync"

	"github.com/sirupsen/logrus"
)

// logger passes the server's log on. A fatal line of the server does not end
// the process: it is kept as the error that starting or running ends with.
type logger struct {
	log logrus.FieldLogger

	mu   sync.Mutex
	last error
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, v...)
	l.log.Errorf(format, v...)
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warnf(format, v...) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Errorf(format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debugf(format, v...) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debugf(format, v...) }
