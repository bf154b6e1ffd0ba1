# What a configuration of the modules comes to: {services, etc, firewall,
# persistence} as JSON takes it, or an error. lib may be nixpkgs' own.
{
  lib ? import ./.,
  configuration,
  package ? "/nowhere",
  pkgs ? { },
  modules ? [ ../../../nix/modules ],
}:

let
  evaluated = lib.evalModules {
    modules = modules ++ [
      ./surroundings.nix
      configuration
      {
        services.fleetlog.package = {
          outPath = package;
          type = "derivation";
        };
      }
    ];
    specialArgs = { inherit pkgs; };
  };
  inherit (evaluated) config;
  failed = builtins.filter (each: !each.assertion) config.assertions;
in
if failed != [ ] then
  throw "Failed assertions:\n${
    builtins.concatStringsSep "\n" (map (each: "- ${each.message}") failed)
  }"
else
  {
    services = config.systemd.services;
    etc = config.environment.etc;
    firewall = config.networking.firewall.allowedTCPPorts;
    persistence = config.nixfleet.persistence.directories or [ ];
  }
