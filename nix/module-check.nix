# The units of a host with everything on it, made by NixOS itself.
{
  nixpkgs,
  pkgs,
  module,
}:

let
  host = nixpkgs.lib.nixosSystem {
    modules = [
      module
      {
        nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
        system.stateVersion = nixpkgs.lib.trivial.release;
        services.fleetlog = {
          fleet = "prod";
          trustFile = "/etc/nixfleet/agent/trust.json";
          nats.enable = true;
          poller.enable = true;
          poller.controlPlaneUrl = "https://fleet.example.com";
          reducer.enable = true;
          reducer.http.listen = "127.0.0.1:9478";
        };
      }
    ];
  };
  inherit (host) config;
  failed = builtins.filter (each: !each.assertion) config.assertions;
  ours = nixpkgs.lib.filterAttrs (name: _: nixpkgs.lib.hasPrefix "fleetlog-" name) config.systemd.units;
  units = nixpkgs.lib.mapAttrsToList (name: unit: "# ${name}\n${unit.text}") ours;
in
# The root file system is left out, and with it the assertion about it.
assert builtins.all (each: !(nixpkgs.lib.hasInfix "services.fleetlog" each.message)) failed;
pkgs.writeText "fleetlog-units" (builtins.concatStringsSep "\n" units)
