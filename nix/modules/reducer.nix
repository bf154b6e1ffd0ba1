# services.fleetlog.reducer
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib) mkOption types;
  unit = import ./unit.nix { inherit lib; };
  inherit (unit) flag secretFlag;
  shared = import ./shared-options.nix {
    inherit config lib;
    service = "reducer";
  };
  cfg = config.services.fleetlog.reducer;
  option = "services.fleetlog.reducer";
  httpFiles = [
    cfg.http.cert
    cfg.http.key
    cfg.http.clientCA
  ];
in
{
  imports = [ ./common.nix ];

  options.services.fleetlog.reducer = {
    enable = lib.mkEnableOption "the reducer, which folds the log into the set that the fleet is supposed to run";

    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/fleetlog-reducer";
      description = "Directory below /var/lib for the checkpoint and the current set.";
    };
    writerKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" ];
      description = "Public keys of the writers whose ticks count, base64.";
    };
    trustFirstUse = mkOption {
      type = types.bool;
      default = shared.madeHere && cfg.writerKeys == [ ];
      defaultText = lib.literalExpression "true where the log is made on this host and writerKeys is empty";
      description = "Accept the writers that the log names at first, and remember them from then on.";
    };

    http = {
      listen = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "127.0.0.1:9478";
        description = "Address to serve the set, /healthz and /metrics on, HOST:PORT: loopback unless clients show certificates.";
      };
      cert = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Certificate to serve HTTPS with, PEM; with key and clientCA. All three are handed over by LoadCredential: renewed ones are in force after a restart.";
      };
      key = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Key of that certificate, PEM or OpenSSH ed25519.";
      };
      clientCA = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "CA whose client certificates are let in, PEM.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Open the port of http.listen in the firewall.";
      };
    };

    inherit (shared) nats;
  }
  // shared.verification
  // shared.logging;

  config = lib.mkMerge [
    (lib.mkIf cfg.enable {
      assertions = shared.assertions ++ [
        {
          assertion = cfg.writerKeys != [ ] || cfg.trustFirstUse;
          message = "${option}.writerKeys: no writer is accepted: name the log's writers, or set ${option}.trustFirstUse to accept those that the log names.";
        }
        {
          assertion = cfg.http.cert == null || cfg.http.listen != null;
          message = "${option}.http.listen: nothing is served: set it, or leave http.cert, http.key and http.clientCA out.";
        }
        (unit.together "${option}.http" "cert, key and clientCA" httpFiles)
        (unit.reachable "${option}.http" cfg.http.listen cfg.http.openFirewall)
        (unit.stateDirectory "${option}.stateDir" cfg.stateDir)
        (unit.keptSecret "${option}.http.key" cfg.http.key)
      ];

      networking.firewall.allowedTCPPorts = lib.mkIf cfg.http.openFirewall [ (unit.port cfg.http.listen) ];

      systemd.services.fleetlog-reducer = {
        description = "Reducer of fleet ${config.services.fleetlog.fleet}";
        wantedBy = [ "multi-user.target" ];
        wants = shared.order;
        after = shared.order;
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = unit.daemon {
          ExecStart = unit.command "${config.services.fleetlog.package}/bin/reducer" [ "run" ] (
            shared.verificationFlags
            ++ flag "state-dir" cfg.stateDir
            ++ flag "writer-key" cfg.writerKeys
            ++ flag "trust-first-use" cfg.trustFirstUse
            ++ flag "http-listen" cfg.http.listen
            ++ secretFlag "http-cert" "http-cert" cfg.http.cert
            ++ secretFlag "http-key" "http-key" cfg.http.key
            ++ secretFlag "http-client-ca" "http-client-ca" cfg.http.clientCA
            ++ shared.natsFlags
            ++ shared.loggingFlags
          );
          LoadCredential = unit.credentials (
            shared.natsCredentials
            // {
              http-cert = cfg.http.cert;
              http-key = cfg.http.key;
              http-client-ca = cfg.http.clientCA;
            }
          );
          StateDirectory = lib.removePrefix "/var/lib/" cfg.stateDir;
          StateDirectoryMode = "0700";
        };
      };
    })
    (lib.optionalAttrs (options ? nixfleet.persistence) {
      nixfleet.persistence.directories = lib.mkIf cfg.enable [ (unit.privateDirectory cfg.stateDir) ];
    })
  ];
}
