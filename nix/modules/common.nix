# What poller, reducer and nats have in common.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.fleetlog;
  trusted = options ? nixfleet.trust;
  uses = name: cfg.${name}.enable or false;
  trustJson = "fleetlog/trust.json";
in
{
  options.services.fleetlog = {
    fleet = mkOption {
      type = types.strMatching "[a-z0-9][a-z0-9-]{0,31}";
      example = "prod";
      description = "Name of the fleet in the log: 1 to 32 of a-z, 0-9 and -, not beginning with -.";
    };

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./nix/package.nix { }";
      description = "The package with the four programs; the flake's own modules set it to the flake's package.";
    };

    trustFile = mkOption {
      type = types.nullOr types.str;
      default = if trusted then "/etc/${trustJson}" else null;
      defaultText = lib.literalExpression ''if options ? nixfleet.trust then "/etc/${trustJson}" else null'';
      example = "/etc/nixfleet/agent/trust.json";
      description = ''
        The trust.json with the keys that sign releases, of poller and reducer. Where NixFleet's own
        modules are imported it is made from `nixfleet.trust`. A changed file is in force without a
        restart.
      '';
    };
  };

  config = lib.mkMerge [
    (lib.mkIf (uses "poller" || uses "reducer" || uses "nats") {
      environment.systemPackages = [ cfg.package ];
    })
    (lib.optionalAttrs trusted (
      lib.mkIf (uses "poller" || uses "reducer") {
        environment.etc.${trustJson}.text = builtins.toJSON {
          schemaVersion = 1;
          inherit (config.nixfleet.trust) ciReleaseKey;
        };
      }
    ))
  ];
}
