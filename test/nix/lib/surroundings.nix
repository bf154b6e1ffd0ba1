# What the modules expect of NixOS, as a module.
{ lib, config, ... }:

let
  # lib may be nixpkgs' own, which has no type for sets alone.
  any = lib.mkOption {
    type = lib.types.sets or (lib.types.attrsOf lib.types.anything);
    default = { };
  };
  list =
    type:
    lib.mkOption {
      type = lib.types.listOf type;
      default = [ ];
    };
in
{
  options = {
    assertions = list (lib.types.sets or lib.types.unspecified);
    systemd.services = any;
    systemd.units = any;
    environment.etc = any;
    environment.systemPackages = list lib.types.package;
    networking.firewall.allowedTCPPorts = list lib.types.int;
    nixpkgs.hostPlatform = lib.mkOption { type = lib.types.str; };
    system.stateVersion = lib.mkOption { type = lib.types.str; };
  };
  config.systemd.units = builtins.listToAttrs (
    map (name: {
      name = "${name}.service";
      value.text = builtins.toJSON config.systemd.services.${name};
    }) (builtins.attrNames config.systemd.services)
  );
}
