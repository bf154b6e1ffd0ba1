# The four programs. version is what `--version` prints.
{
  lib,
  stdenv,
  buildGoModule,
  installShellFiles,
  version ? "devel",
}:

buildGoModule {
  pname = "fleetlog";
  inherit version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions (import ./sources.nix);
  };

  vendorHash = "sha256-r4uwd/dW6MIldXKazhEONRCvKZLYUcMkvdgPbK7TFiY=";

  subPackages = [
    "cmd/poller"
    "cmd/reducer"
    "cmd/embedded-nats"
    "cmd/fleetlog"
  ];

  env.CGO_ENABLED = 0;

  ldflags = [
    "-s"
    "-w"
    "-X fleetlog/internal/process.version=${version}"
  ];

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    for page in docs/man/*.1; do
      if [ -e "$page" ]; then installManPage "$page"; fi
    done
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for program in poller reducer embedded-nats fleetlog; do
      installShellCompletion --cmd "$program" \
        --bash <("$out/bin/$program" completion bash) \
        --fish <("$out/bin/$program" completion fish) \
        --zsh <("$out/bin/$program" completion zsh)
    done
  '';

  meta = {
    description = "Records the signed releases of a NixFleet fleet in a verifiable log";
    mainProgram = "fleetlog";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
  };
}
