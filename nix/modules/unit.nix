# The units of all services, and what they may do. A function, no module.
{ lib }:

let
  inherit (builtins)
    match
    replaceStrings
    toJSON
    ;

  # An argument as ExecStart takes it: no specifier, no variable, no splitting.
  escape =
    argument:
    let
      text = replaceStrings [ "%" "$" ] [ "%%" "$$" ] argument;
    in
    if match "[A-Za-z0-9_./:@,=%+-]+" text != null then text else toJSON text;

  hardening = {
    AmbientCapabilities = "";
    CapabilityBoundingSet = "";
    DevicePolicy = "closed";
    KeyringMode = "private";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateTmp = true;
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = "AF_INET AF_INET6 AF_UNIX";
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    UMask = "0077";
  };
in
rec {
  inherit escape;

  # --name=value, nothing for null, and one for each of a list.
  flag =
    name: value:
    if value == null then
      [ ]
    else if builtins.isList value then
      lib.concatMap (flag name) value
    else if builtins.isBool value then
      lib.optional value "--${name}"
    else
      [ (escape "--${name}=${toString value}") ];

  # The flag for a secret that systemd hands over under the given name.
  secretFlag =
    name: credential: file:
    lib.optional (file != null) "--${name}=%d/${credential}";

  # LoadCredential for {name = file;}; null is none.
  credentials =
    files:
    map (name: "${name}:${files.${name}}") (
      lib.filter (name: files.${name} != null) (lib.attrNames files)
    );

  command = program: verb: arguments: lib.concatStringsSep " " ([ (escape program) ] ++ verb ++ arguments);

  # A service that tells systemd when it serves, and that is not started again
  # when its configuration is refused.
  daemon =
    settings:
    hardening
    // {
      Type = "notify";
      NotifyAccess = "main";
      DynamicUser = true;
      Restart = "on-failure";
      RestartSec = 5;
      RestartPreventExitStatus = 78;
      TimeoutStartSec = 90; # one that goes on asks for more again and again
      KillSignal = "SIGTERM";
      TimeoutStopSec = 30;
      WatchdogSec = 180;
    }
    // settings;

  # Something that is done once before others start.
  once =
    settings:
    hardening
    // {
      Type = "oneshot";
      RemainAfterExit = true;
    }
    // settings;

  # Refuses secrets in the Nix store, which everybody can read.
  keptSecret = option: file: {
    assertion = file == null || !lib.hasPrefix builtins.storeDir file;
    message = "${option}: ${toString file} is in the Nix store, which everybody can read: give the path of a file outside it, as a string.";
  };

  # Files that are of use only together.
  together = option: names: files: {
    assertion = lib.all (file: file == null) files || lib.all (file: file != null) files;
    message = "${option}: ${names} belong together: set all of them or none.";
  };

  # Where StateDirectory can be.
  stateDirectory = option: directory: {
    assertion = lib.hasPrefix "/var/lib/" directory;
    message = "${option}: ${directory} is not below /var/lib, where systemd keeps state: choose a directory there.";
  };

  # Where DynamicUser puts what StateDirectory names, for what makes it last.
  privateDirectory = directory: "/var/lib/private/${lib.removePrefix "/var/lib/" directory}";

  port = listen: lib.toInt (lib.last (lib.splitString ":" listen));

  reachable = option: listen: open: {
    assertion = !open || listen != null && match ".*:[0-9]+" listen != null;
    message = "${option}.openFirewall: there is no port to open: set ${option}.listen to HOST:PORT.";
  };
}
