# As much of nixpkgs' lib as the modules use, to evaluate them where there is no
# nixpkgs: options with types and defaults, mkIf and mkMerge, errors for what is
# of the wrong type, set twice, missing or unknown.
let
  inherit (builtins)
    all
    attrNames
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    hasAttr
    head
    isAttrs
    isFunction
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    split
    stringLength
    substring
    ;

  types = import ./types.nix;
  isA = type: value: isAttrs value && value._type or null == type;

  # Names of all sets, once.
  names = sets: attrNames (foldl' (all: set: all // set) { } sets);
  having = name: sets: map (set: set.${name}) (filter (hasAttr name) sets);

  # Sets without mkIf and mkMerge at their top: a condition goes to the members,
  # and is not looked at.
  pushDown =
    set:
    if isA "merge" set then
      concatMap pushDown set.contents
    else if isA "if" set then
      map (mapAttrs (_: content: lib.mkIf set.condition content)) (pushDown set.content)
    else
      [ set ];

  # The values that hold.
  discharge =
    value:
    if isA "merge" value then
      concatMap discharge value.contents
    else if isA "if" value then
      (if value.condition then discharge value.content else [ ])
    else
      [ value ];

  # Without the defaults that modules set, where something else is set.
  strongest =
    values:
    let
      weak = isA "default";
      strong = filter (value: !weak value) values;
    in
    if strong == [ ] then map (value: value.content) values else strong;

  show = concatStringsSep ".";

  evalOption =
    path: option: definitions:
    let
      values = strongest (concatMap discharge definitions);
      wrong = filter (value: !option.type.check value) values;
    in
    if wrong != [ ] then
      throw "A definition for option `${show path}' is not of type `${option.type.description}'."
    else if values == [ ] && !(option ? default) then
      throw "The option `${show path}' was accessed but has no value defined."
    else if values == [ ] && !option.type.check option.default then
      throw "The default of option `${show path}' is not of type `${option.type.description}'."
    else if values == [ ] then
      option.default
    else if option.type ? merge then
      option.type.merge values
    else if all (value: value == head values) values then
      head values
    else
      throw "The option `${show path}' has conflicting definition values.";

  evalOptions =
    path: options: definitions:
    let
      sets = concatMap pushDown definitions;
      unknown = filter (name: !hasAttr name options) (names sets);
    in
    if unknown != [ ] then
      throw "The option `${show (path ++ [ (head unknown) ])}' does not exist."
    else
      mapAttrs (
        name: option:
        (if isA "option" option then evalOption else evalOptions) (path ++ [ name ]) option (
          having name sets
        )
      ) options;

  mergeOptions =
    path: sets:
    listToAttrs (
      map (name: {
        inherit name;
        value =
          let
            found = having name sets;
          in
          if length found == 1 then
            head found
          else if filter (isA "option") found != [ ] then
            throw "The option `${show (path ++ [ name ])}' is declared twice."
          else
            mergeOptions (path ++ [ name ]) found;
      }) (names sets)
    );

  # All modules, each file and each key once.
  collect =
    arguments: seen: modules:
    foldl' (
      found: module:
      let
        isFile = builtins.isPath module || isString module;
        content = if isFile then import module else module;
        set = if isFunction content then content arguments else content;
        key = if isFile then toString module else set.key or null;
        deeper = collect arguments (found.seen ++ [ key ]) (set.imports or [ ]);
      in
      if key != null && elem key found.seen then
        found
      else
        {
          inherit (deeper) seen;
          modules = found.modules ++ deeper.modules ++ [ set ];
        }
    ) {
      inherit seen;
      modules = [ ];
    } modules;

  lib = {
    inherit
      all
      attrNames
      concatMap
      concatStringsSep
      filter
      length
      types
      ;

    mkOption = attributes: { _type = "option"; } // attributes;
    mkEnableOption =
      what:
      lib.mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkDefault = content: {
      _type = "default";
      inherit content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };

    genAttrs =
      all: make:
      listToAttrs (
        map (name: {
          inherit name;
          value = make name;
        }) all
      );
    mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
    optional = condition: element: if condition then [ element ] else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    removePrefix =
      prefix: text:
      if lib.hasPrefix prefix text then
        substring (stringLength prefix) (stringLength text - stringLength prefix) text
      else
        text;
    splitString = separator: text: filter isString (split (lib.escapeRegex separator) text);
    escapeRegex =
      text:
      let
        characters = genList (i: substring i 1 text) (stringLength text);
      in
      concatStringsSep "" (map (c: if match "[a-zA-Z0-9]" c != null then c else "[${c}]") characters);
    last = list: elemAt list (length list - 1);
    toInt =
      text:
      if match "[0-9]+" text == null then throw "${text} is no number" else builtins.fromJSON text;

    fileset = {
      unions = files: files;
      toSource = { root, fileset }: { inherit root fileset; };
    };
    licenses.mit.spdxId = "MIT";
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];

    evalModules =
      { modules, specialArgs }:
      let
        all = (collect arguments [ ] modules).modules;
        options = mergeOptions [ ] (map (module: module.options or { }) all);
        config = evalOptions [ ] options (
          map (
            module:
            module.config or (removeAttrs module [
              "imports"
              "key"
              "options"
            ])
          ) all
        );
        arguments = specialArgs // {
          inherit config lib options;
        };
      in
      {
        inherit config options;
      };
  };
in
lib
