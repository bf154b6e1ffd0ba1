package process

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fleetlog/internal/durable"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds what is read as a key.
const maxKeyFile = 64 << 10

// ReadPrivateFile reads a small secret file that only its owner may read. The
// credentials that systemd hands to a unit pass with the mode that it gives
// them: their directory is closed to others.
func ReadPrivateFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && !isCredential(path) {
		return nil, fmt.Errorf("%s is open to others (mode %#o): run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: it is no key", path, maxKeyFile)
	}
	return data, nil
}

func isCredential(path string) bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(filepath.Clean(path)) == filepath.Clean(dir)
}

// ReadWriterKey reads an ed25519 key: PKCS#8 PEM or OpenSSH, mode 0600.
func ReadWriterKey(path string) (ed25519.PrivateKey, error) {
	data, err := ReadPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("read writer key: %w", err)
	}
	key, err := parsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read writer key %s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read writer key %s: it is a %T, want ed25519", path, key)
	}
	return private, nil
}

// parsePrivateKey reads PKCS#8, PKCS#1, SEC 1 and OpenSSH keys.
func parsePrivateKey(data []byte) (any, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if block.Type == "PRIVATE KEY" {
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		return nil, err
	}
	if pointer, ok := key.(*ed25519.PrivateKey); ok {
		return *pointer, nil
	}
	return key, nil
}

// CreateWriterKey makes a new key and writes it as PKCS#8 PEM, mode 0600. It
// never replaces a file.
func CreateWriterKey(path string, random io.Reader) (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("make writer key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("make writer key: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := durable.CreateExclusive(path, data, 0o600); err != nil {
		return nil, fmt.Errorf("make writer key: %w", err)
	}
	return private, nil
}

// WriterKey reads the key, or makes it when it is absent and create is set.
func WriterKey(path string, create bool, random io.Reader) (ed25519.PrivateKey, error) {
	if path == "" {
		return nil, errors.New("no writer key: give --writer-key-file")
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if create {
			return CreateWriterKey(path, random)
		}
		return nil, fmt.Errorf("writer key %s does not exist: give --provision to make one and a new log, or the key of the log", path)
	}
	return ReadWriterKey(path)
}
