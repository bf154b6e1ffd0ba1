# Options, flags and assertions that several services have. A function, no
# module: service is the service's name below services.fleetlog.
{
  config,
  lib,
  service,
}:

let
  inherit (lib) mkOption types;
  unit = import ./unit.nix { inherit lib; };
  inherit (unit) flag secretFlag;
  option = "services.fleetlog.${service}";
  cfg = config.services.fleetlog.${service};
  server = config.services.fleetlog.nats or { enable = false; };
  madeHere = server.enable && server.configFile == null;
  key = role: if madeHere then "${server.keyDir}/${role}.nkey" else null;
in
rec {
  inherit madeHere;

  # After the server of this host, when there is one.
  order =
    [ "network-online.target" ]
    ++ lib.optional server.enable "fleetlog-nats.service"
    ++ lib.optional madeHere "fleetlog-provision.service";

  logging = {
    logLevel = mkOption {
      type = types.enum [
        "error"
        "warn"
        "info"
        "debug"
      ];
      default = "info";
      description = "Least level that is logged.";
    };
    logFormat = mkOption {
      type = types.enum [
        "text"
        "json"
      ];
      default = "text";
      description = "Form of the log.";
    };
    extraFlags = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--log-level=debug" ];
      description = "Further flags, which win over those that the other options make.";
    };
  };

  loggingFlags =
    flag "log-level" cfg.logLevel ++ flag "log-format" cfg.logFormat ++ map unit.escape cfg.extraFlags;

  verification = {
    trustFile = mkOption {
      type = types.nullOr types.str;
      default = config.services.fleetlog.trustFile;
      defaultText = lib.literalExpression "config.services.fleetlog.trustFile";
      description = "The trust.json with the keys that sign releases.";
    };
    freshnessWindowSecs = mkOption {
      type = types.ints.positive;
      default = 3600;
      description = "How old a signature may be, in seconds; the same for poller and reducers.";
    };
    freshnessFromChannels = mkOption {
      type = types.bool;
      default = false;
      description = "Let the signed freshnessWindow of each channel say that instead; the same for poller and reducers.";
    };
    rolloutIdScheme = mkOption {
      type = types.enum [
        "auto"
        "composite"
        "content-hash"
      ];
      default = "auto";
      description = "How rollout ids are derived; the same for poller and reducers.";
    };
  };

  verificationFlags =
    flag "fleet" config.services.fleetlog.fleet
    ++ flag "trust-file" cfg.trustFile
    ++ flag "manifest-freshness-window-secs" cfg.freshnessWindowSecs
    ++ flag "freshness-from-channels" cfg.freshnessFromChannels
    ++ flag "rollout-id-scheme" cfg.rolloutIdScheme;

  nats = {
    url = mkOption {
      type = types.nullOr types.str;
      default = if server.enable && cfg.nats.context == null then server.url else null;
      defaultText = lib.literalExpression "config.services.fleetlog.nats.url, where the server is enabled";
      example = "tls://nats.example.com:4222";
      description = "URL of the NATS server; several are separated by commas.";
    };
    context = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/prod-${service}.json";
      description = ''
        File of a context of the nats tool, instead of the URL. It is handed over by LoadCredential. Key
        files that it names cannot be read by the service: set nkeySeedFile or credsFile beside it.
      '';
    };
    nkeySeedFile = mkOption {
      type = types.nullOr types.str;
      default = key service;
      defaultText = lib.literalExpression ''"''${config.services.fleetlog.nats.keyDir}/${service}.nkey", where the server makes its users itself'';
      example = "/run/secrets/${service}.nkey";
      description = "File with the nkey seed to connect with, handed over by LoadCredential.";
    };
    credsFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/${service}.creds";
      description = "Credentials file to connect with, handed over by LoadCredential.";
    };
    inboxPrefix = mkOption {
      type = types.nullOr types.str;
      default = "_INBOX_${service}";
      description = "Prefix of reply subjects: what `embedded-nats init` permits the user. null where the user may listen on any.";
    };
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "JetStream domain of the log.";
    };
    tls = {
      caCert = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "CA of the NATS server, PEM; a file that everybody may read.";
      };
      clientCert = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Client certificate for the NATS server, PEM; a file that everybody may read.";
      };
      clientKey = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Key of that certificate, PEM, handed over by LoadCredential.";
      };
    };
  };

  natsFlags =
    flag "nats-url" cfg.nats.url
    ++ secretFlag "context" "context.json" cfg.nats.context
    ++ secretFlag "nats-nkey-file" "nkey" cfg.nats.nkeySeedFile
    ++ secretFlag "nats-creds-file" "creds" cfg.nats.credsFile
    ++ flag "nats-inbox-prefix" cfg.nats.inboxPrefix
    ++ flag "nats-domain" cfg.nats.domain
    ++ flag "nats-ca-cert" cfg.nats.tls.caCert
    ++ flag "nats-client-cert" cfg.nats.tls.clientCert
    ++ secretFlag "nats-client-key" "nats-client-key" cfg.nats.tls.clientKey;

  natsCredentials = {
    "context.json" = cfg.nats.context;
    nkey = cfg.nats.nkeySeedFile;
    creds = cfg.nats.credsFile;
    nats-client-key = cfg.nats.tls.clientKey;
  };

  assertions = [
    {
      assertion = cfg.trustFile != null;
      message = "${option}.trustFile: no trust file is named: set it, or services.fleetlog.trustFile, to the trust.json that the control plane uses.";
    }
    {
      assertion = cfg.nats.url != null || cfg.nats.context != null;
      message = "${option}.nats.url: no NATS server is named: set it or ${option}.nats.context, or set services.fleetlog.nats.enable for a server on this host.";
    }
    {
      assertion = cfg.nats.url == null || cfg.nats.context == null;
      message = "${option}.nats: url and context exclude each other: set one of them to null.";
    }
    {
      assertion = cfg.nats.nkeySeedFile == null || cfg.nats.credsFile == null;
      message = "${option}.nats: nkeySeedFile and credsFile exclude each other: set one of them to null.";
    }
    (unit.together "${option}.nats.tls" "clientCert and clientKey" [
      cfg.nats.tls.clientCert
      cfg.nats.tls.clientKey
    ])
    (unit.keptSecret "${option}.nats.context" cfg.nats.context)
    (unit.keptSecret "${option}.nats.nkeySeedFile" cfg.nats.nkeySeedFile)
    (unit.keptSecret "${option}.nats.credsFile" cfg.nats.credsFile)
    (unit.keptSecret "${option}.nats.tls.clientKey" cfg.nats.tls.clientKey)
  ];
}
