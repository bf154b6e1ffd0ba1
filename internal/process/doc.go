// Package process is what the life of every command needs and none is about:
// flags with environment variables, signals and exit codes, the log, systemd's
// notifications, the health and metrics listener, key files, and TLS files that
// reload.
package process
