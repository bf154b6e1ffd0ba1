# What the package is built from. The vendor directory holds what these import,
# tests included, so that vendorHash depends on the list.
[
  ../go.mod
  ../go.sum
  ../LICENSE
  ../cmd
  ../consumers
  ../eventlog
  ../events
  ../internal
  ../manifest
  ../producers
]
++ (if builtins.pathExists ../docs/man then [ ../docs/man ] else [ ])
