package producers

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// blocks lets whoever reads what it mostly knows already do that block by block,
// so that memory is needed only for what is new.
type blocks struct{ free sync.Pool }

// blockSize is what a TLS record holds at most.
const blockSize = 16 << 10

func newBlocks() *blocks { return &blocks{sync.Pool{New: func() any { return new([blockSize]byte) }}} }

// read reads r to its end, which comes after size bytes, or nobody knows when if
// size is negative. It returns known when that is what came, else a buffer of its
// own. Neither is written to afterwards.
func (b *blocks) read(r io.Reader, size int64, known []byte) ([]byte, error) {
	if len(known) == 0 || size >= 0 && size != int64(len(known)) {
		return readNew(r, size)
	}
	block := b.free.Get().(*[blockSize]byte) //nolint:forcetypeassert // nothing else is put there
	defer b.free.Put(block)
	for at := 0; ; {
		n, err := r.Read(block[:])
		if !bytes.HasPrefix(known[at:], block[:n]) {
			return readNew(io.MultiReader(bytes.NewReader(known[:at]), bytes.NewReader(block[:n]), r), size)
		}
		at += n
		switch {
		case errors.Is(err, io.EOF) && at == len(known):
			return known, nil
		case errors.Is(err, io.EOF):
			return readNew(bytes.NewReader(known[:at]), size)
		case err != nil:
			return nil, err
		}
	}
}

// readNew reads the same into a buffer of its own.
func readNew(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(r)
	}
	data := make([]byte, size)
	_, err := io.ReadFull(r, data)
	return data, err
}
