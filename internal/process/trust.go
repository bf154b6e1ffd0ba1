package process

import (
	"errors"
	"fmt"
	"io"
	"os"

	"fleetlog/manifest"
)

// TrustFile is the path that --trust-file gives.
type TrustFile string

// ErrWritable refuses a trust file that anybody may change: whoever writes it
// says who signs.
var ErrWritable = errors.New("trust file can be written by everybody: chmod o-w it")

// Read reads the file, and one byte more than a trust file can have at most.
// Error: [ErrWritable].
func (f TrustFile) Read() ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, ErrWritable
	}
	return io.ReadAll(io.LimitReader(file, manifest.MaxTrust+1))
}

// Parse reads the file and judges it. A file that is refused gives a
// [*manifest.Rejection]; any other error is one of reading it.
func (f TrustFile) Parse() (*manifest.Trust, error) {
	const hint = "give the trust.json that the control plane uses"
	data, err := f.Read()
	if errors.Is(err, ErrWritable) {
		return nil, fmt.Errorf("--trust-file %s: %w", f, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read --trust-file: %w: %s", err, hint)
	}
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		return nil, fmt.Errorf("--trust-file %s: %w: %s", f, err, hint)
	}
	return trust, nil
}
