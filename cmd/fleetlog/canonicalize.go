package main

import (
	"fmt"
	"io"

	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

func canonicalizeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "canonicalize",
		Short: "write the canonical form of JSON",
		Long: `canonicalize reads JSON from standard input and writes its RFC 8785 form, which is
what is signed and hashed, without a newline.

Exit status: 0 written, 1 refused, 2 could not read or write.`,
		Example: "fleetlog canonicalize <fleet.resolved.json | sha256sum",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), manifest.MaxArtifact+1))
			if err == nil && len(data) > manifest.MaxArtifact {
				err = fmt.Errorf("input is larger than %d bytes", manifest.MaxArtifact)
			}
			if err != nil {
				return could(err)
			}
			canonical, err := manifest.Canonicalize(data)
			if err != nil {
				return process.Exit(process.ExitNo, err)
			}
			_, err = cmd.OutOrStdout().Write(canonical)
			return could(err)
		},
	}
}
