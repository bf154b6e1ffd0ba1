# services.fleetlog.nats
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
    service = "nats";
  };
  cfg = config.services.fleetlog.nats;
  option = "services.fleetlog.nats";
  package = config.services.fleetlog.package;
  fleet = config.services.fleetlog.fleet;
  made = cfg.configFile == null;
  configPath = if made then "${cfg.keyDir}/embedded-nats.conf" else cfg.configFile;
in
{
  imports = [ ./common.nix ];

  options.services.fleetlog.nats = {
    enable = lib.mkEnableOption "a NATS server for the log on this host";

    keyDir = mkOption {
      type = types.str;
      default = "/var/lib/fleetlog";
      description = ''
        Directory below /var/lib in which `embedded-nats init` makes, at the first start, the server's
        config, the nkeys and contexts of its users and the writer key; nothing in it is ever replaced.
        Root alone can read it. Not used with configFile.
      '';
    };
    configFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/embedded-nats.conf";
      description = ''
        Config file of your own in NATS's format, handed over by LoadCredential; it cannot include
        others. Users and keys are then yours to make, and so is the log (`fleetlog provision`).
      '';
    };
    credentials = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        "tls.key" = "/run/secrets/nats.key";
      };
      description = ''
        Further files for the configFile, by a name each, handed over by LoadCredential. The file calls
        them /run/credentials/fleetlog-nats.service/NAME.
      '';
    };
    listen = mkOption {
      type = types.nullOr types.str;
      default = if made then "127.0.0.1:4222" else null;
      defaultText = lib.literalExpression ''"127.0.0.1:4222", or what configFile says'';
      description = "Address for clients, HOST:PORT. Beyond loopback it needs a configFile with TLS and users.";
    };
    url = mkOption {
      type = types.str;
      default = "nats://${if cfg.listen == null then "127.0.0.1:4222" else cfg.listen}";
      defaultText = lib.literalExpression ''"nats://''${config.services.fleetlog.nats.listen}"'';
      description = "URL at which poller and reducer of this host reach the server: with TLS, by a name that is in its certificate.";
    };
    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/fleetlog-nats";
      description = "Directory below /var/lib for the streams; configFile need not name one.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Open the port of listen in the firewall.";
    };
    http.listen = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "127.0.0.1:9476";
      description = "Loopback address for /healthz and /readyz.";
    };
  }
  // shared.logging;

  config = lib.mkMerge [
    (lib.mkIf cfg.enable {
      assertions = [
        (unit.stateDirectory "${option}.stateDir" cfg.stateDir)
        (unit.stateDirectory "${option}.keyDir" cfg.keyDir)
        (unit.reachable option cfg.listen cfg.openFirewall)
        (unit.keptSecret "${option}.configFile" cfg.configFile)
      ]
      ++ lib.mapAttrsToList (
        name: file: unit.keptSecret "${option}.credentials.\"${name}\"" file
      ) cfg.credentials;

      networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ (unit.port cfg.listen) ];

      systemd.services.fleetlog-nats = {
        description = "NATS server of fleet ${fleet}";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ] ++ lib.optional made "fleetlog-init.service";
        after = [ "network-online.target" ] ++ lib.optional made "fleetlog-init.service";
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = unit.daemon {
          ExecStart = unit.command "${package}/bin/embedded-nats" [ "run" ] (
            secretFlag "config" "embedded-nats.conf" configPath
            ++ flag "listen" cfg.listen
            ++ flag "store-dir" cfg.stateDir
            ++ flag "http-listen" cfg.http.listen
            ++ shared.loggingFlags
          );
          LoadCredential = unit.credentials (cfg.credentials // { "embedded-nats.conf" = configPath; });
          StateDirectory = lib.removePrefix "/var/lib/" cfg.stateDir;
          StateDirectoryMode = "0700";
          RestrictAddressFamilies = "AF_INET AF_INET6 AF_UNIX AF_NETLINK"; # a node of a cluster asks for its own addresses
          LimitNOFILE = 65536;
        };
      };
    })

    (lib.mkIf (cfg.enable && made) {
      systemd.services.fleetlog-init = {
        description = "Keys and config of the NATS server of fleet ${fleet}";
        unitConfig.ConditionPathExists = "!${configPath}";
        serviceConfig = unit.once {
          ExecStart = unit.command "${package}/bin/embedded-nats" [ "init" ] (
            [ (unit.escape cfg.keyDir) ] ++ flag "fleet" fleet ++ flag "listen" cfg.listen
          );
          StateDirectory = lib.removePrefix "/var/lib/" cfg.keyDir;
          StateDirectoryMode = "0700";
          PrivateNetwork = true;
        };
      };

      systemd.services.fleetlog-provision = {
        description = "Log of fleet ${fleet}";
        wantedBy = [ "multi-user.target" ];
        requires = [ "fleetlog-nats.service" ];
        after = [ "fleetlog-nats.service" ];
        serviceConfig = unit.once {
          DynamicUser = true;
          ExecStart = unit.command "${package}/bin/fleetlog" [ "provision" ] (
            flag "fleet" fleet
            ++ flag "nats-url" cfg.url
            ++ [
              "--nats-nkey-file=%d/admin.nkey"
              "--nats-inbox-prefix=_INBOX_admin"
              "--writer-key-file=%d/writer.key"
            ]
          );
          LoadCredential = unit.credentials {
            "admin.nkey" = "${cfg.keyDir}/admin.nkey";
            "writer.key" = "${cfg.keyDir}/writer.key";
          };
        };
      };
    })

    (lib.optionalAttrs (options ? nixfleet.persistence) {
      nixfleet.persistence.directories = lib.mkIf cfg.enable (
        [ (unit.privateDirectory cfg.stateDir) ] ++ lib.optional made cfg.keyDir
      );
    })
  ];
}
