# What the project's flake needs of nixpkgs to be evaluated: our lib, and packages
# that are names.
{
  outputs =
    { self }:
    let
      lib = import ./.;
      named = name: {
        inherit name;
        type = "derivation";
        drvPath = "/nowhere/${name}.drv";
        outPath = "/nowhere/${name}";
      };
      packages = system: {
        inherit lib;
        stdenv.hostPlatform.system = system;
        callPackage =
          file: arguments:
          let
            made = import file (
              {
                inherit lib;
                stdenv = {
                  buildPlatform.canExecute = _: true;
                  hostPlatform = { inherit system; };
                };
                buildGoModule = attributes: attributes;
                installShellFiles = named "install-shell-files-hook";
              }
              // arguments
            );
          in
          made // named "${made.pname}-${made.version}";
        mkShell = _: named "shell";
        writeText = name: text: builtins.seq (builtins.stringLength text) (named name);
        testers.runNixOSTest = test: named "vm-test-run-${test.name}";
        nixfmt-tree = named "nixfmt-tree";
      };
    in
    {
      lib = lib // {
        trivial.release = "26.05";
        hasInfix = part: text: builtins.match ".*${lib.escapeRegex part}.*" text != null;
        filterAttrs =
          keep: set: removeAttrs set (lib.filter (name: !(keep name set.${name})) (lib.attrNames set));
        nixosSystem =
          { modules }:
          lib.evalModules {
            modules = modules ++ [ ./surroundings.nix ];
            specialArgs.pkgs.stdenv.hostPlatform.system = "x86_64-linux";
          };
      };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packages;
    };
}
