# services.fleetlog.poller
{
  config,
  lib,
  ...
}:

let
  inherit (lib) mkOption types;
  unit = import ./unit.nix { inherit lib; };
  inherit (unit) flag secretFlag;
  shared = import ./shared-options.nix {
    inherit config lib;
    service = "poller";
  };
  cfg = config.services.fleetlog.poller;
  option = "services.fleetlog.poller";
  keyDir = config.services.fleetlog.nats.keyDir;
  sources = [
    cfg.controlPlaneUrl
    cfg.releaseUrl
    cfg.releaseDir
  ];
in
{
  imports = [ ./common.nix ];

  options.services.fleetlog.poller = {
    enable = lib.mkEnableOption "the poller, which verifies the fleet's releases and writes them into the log";

    controlPlaneUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://fleet.example.com";
      description = "URL of the NixFleet control plane to poll.";
    };
    releaseUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://git.example.com/fleet/releases/raw/main";
      description = "HTTPS URL of a release directory to poll instead.";
    };
    releaseTokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/release-token";
      description = "File with a bearer token for releaseUrl, handed over by LoadCredential.";
    };
    releaseDir = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/srv/releases/current";
      description = "Release directory to poll instead; one that everybody may read.";
    };
    pollInterval = mkOption {
      type = types.ints.positive;
      default = 30;
      description = "Time from tick to tick, in seconds; the same for all pollers of a log.";
    };

    tls = {
      caCert = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/nixfleet/fleet-ca.pem";
        description = "CA that signed the control plane's certificate, PEM; the system's roots are then not trusted.";
      };
      clientCert = mkOption {
        type = types.nullOr types.str;
        default = if cfg.controlPlaneUrl != null then "/var/lib/nixfleet/agent-cert.pem" else null;
        defaultText = lib.literalExpression ''"/var/lib/nixfleet/agent-cert.pem" for a control plane'';
        description = ''
          Client certificate, PEM: the agent's, unless told otherwise. It is read where it is, so that one
          that is renewed is in force at once; the service must be permitted to read it.
        '';
      };
      clientKey = mkOption {
        type = types.nullOr types.str;
        default = if cfg.controlPlaneUrl != null then "/etc/ssh/ssh_host_ed25519_key" else null;
        defaultText = lib.literalExpression ''"/etc/ssh/ssh_host_ed25519_key" for a control plane'';
        description = ''
          Key of the client certificate, PEM or OpenSSH ed25519: the agent's, unless told otherwise. It is
          handed over by LoadCredential; another key is in force after a restart.
        '';
      };
    };

    writerKeyFile = mkOption {
      type = types.nullOr types.str;
      default = if shared.madeHere then "${keyDir}/writer.key" else null;
      defaultText = lib.literalExpression ''"''${config.services.fleetlog.nats.keyDir}/writer.key", where the server makes its users itself'';
      example = "/run/secrets/writer.key";
      description = "The ed25519 key that signs ticks, PKCS#8 PEM or OpenSSH, handed over by LoadCredential.";
    };
    writerKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Public keys of the log's other writers, base64.";
    };

    http.listen = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "127.0.0.1:9477";
      description = "Loopback address for /healthz and /readyz.";
    };

    inherit (shared) nats;
  }
  // shared.verification
  // shared.logging;

  config = lib.mkIf cfg.enable {
    assertions = shared.assertions ++ [
      {
        assertion = lib.length (lib.filter (source: source != null) sources) == 1;
        message = "${option}: set exactly one of controlPlaneUrl, releaseUrl and releaseDir: what is polled.";
      }
      {
        assertion = cfg.releaseTokenFile == null || cfg.releaseUrl != null;
        message = "${option}.releaseTokenFile: it is for releaseUrl only: set that, or leave the token out.";
      }
      {
        assertion = cfg.writerKeyFile != null;
        message = "${option}.writerKeyFile: no writer key is named: set it to the file with the key that the log was made with (fleetlog provision).";
      }
      (unit.together "${option}.tls" "clientCert and clientKey" [
        cfg.tls.clientCert
        cfg.tls.clientKey
      ])
      (unit.keptSecret "${option}.tls.clientKey" cfg.tls.clientKey)
      (unit.keptSecret "${option}.writerKeyFile" cfg.writerKeyFile)
      (unit.keptSecret "${option}.releaseTokenFile" cfg.releaseTokenFile)
    ];

    systemd.services.fleetlog-poller = {
      description = "Poller of fleet ${config.services.fleetlog.fleet}";
      wantedBy = [ "multi-user.target" ];
      wants = shared.order;
      after = shared.order;
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = unit.daemon {
        ExecStart = unit.command "${config.services.fleetlog.package}/bin/poller" [ "run" ] (
          shared.verificationFlags
          ++ flag "control-plane-url" cfg.controlPlaneUrl
          ++ flag "release-url" cfg.releaseUrl
          ++ secretFlag "release-token-file" "release-token" cfg.releaseTokenFile
          ++ flag "release-dir" cfg.releaseDir
          ++ flag "interval" "${toString cfg.pollInterval}s"
          ++ flag "ca-cert" cfg.tls.caCert
          ++ flag "client-cert" cfg.tls.clientCert
          ++ secretFlag "client-key" "client-key" cfg.tls.clientKey
          ++ secretFlag "writer-key-file" "writer.key" cfg.writerKeyFile
          ++ flag "writer-key" cfg.writerKeys
          ++ flag "http-listen" cfg.http.listen
          ++ shared.natsFlags
          ++ shared.loggingFlags
        );
        LoadCredential = unit.credentials (
          shared.natsCredentials
          // {
            client-key = cfg.tls.clientKey;
            "writer.key" = cfg.writerKeyFile;
            release-token = cfg.releaseTokenFile;
          }
        );
      };
    };
  };
}
