# The modules' options, as a list: path, type, default, example and description.
let
  lib = import ./.;
  inherit (lib.evalModules {
    modules = [
      ../../../nix/modules
      ./surroundings.nix
    ];
    specialArgs.pkgs = { };
  }) options;

  show =
    value: if value._type or null == "literalExpression" then value.text else builtins.toJSON value;

  walk =
    path: option:
    if option._type or null == "option" then
      [
        {
          name = lib.concatStringsSep "." path;
          type = option.type.description;
          inherit (option) description;
          default =
            if option ? defaultText then
              show option.defaultText
            else if option ? default then
              show option.default
            else
              "";
          example = if option ? example then show option.example else "";
        }
      ]
    else
      lib.concatMap (name: walk (path ++ [ name ]) option.${name}) (lib.attrNames option);
in
walk [ "services" "fleetlog" ] options.services.fleetlog
