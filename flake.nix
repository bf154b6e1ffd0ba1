{
  description = "A verifiable log of the signed releases of a NixFleet fleet";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      version = "devel-${self.shortRev or self.dirtyShortRev or "source"}";

      eachSystem =
        make:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: make nixpkgs.legacyPackages.${system});
      packageFor = pkgs: pkgs.callPackage ./nix/package.nix { inherit version; };

      # A module with this flake's package; the key makes it one, however often it
      # is imported.
      withPackage = file: {
        imports = [
          file
          (
            { pkgs, ... }:
            {
              key = "fleetlog/flake.nix#package";
              config.services.fleetlog.package =
                lib.mkDefault
                  self.packages.${pkgs.stdenv.hostPlatform.system}.fleetlog;
            }
          )
        ];
      };
    in
    {
      packages = eachSystem (pkgs: rec {
        fleetlog = packageFor pkgs;
        default = fleetlog;
      });

      overlays.default = final: prev: { fleetlog = packageFor final; };

      nixosModules = {
        default = withPackage ./nix/modules;
        poller = withPackage ./nix/modules/poller.nix;
        reducer = withPackage ./nix/modules/reducer.nix;
        nats = withPackage ./nix/modules/nats.nix;
      };

      checks = eachSystem (pkgs: {
        package = packageFor pkgs;
        modules = import ./nix/module-check.nix {
          inherit nixpkgs pkgs;
          module = self.nixosModules.default;
        };
        vm = import ./nix/vm-test.nix {
          inherit pkgs;
          module = self.nixosModules.default;
        };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            go
            go-task
            natscli
            jq
            openssl
          ];
        };
      });
    };
}
