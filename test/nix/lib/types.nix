# Types of options: check says whether a value is one, merge makes one of several.
let
  inherit (builtins)
    all
    concatStringsSep
    elem
    foldl'
    hasAttr
    isAttrs
    isBool
    isInt
    isList
    isString
    match
    mapAttrs
    toJSON
    ;

  mergeSets =
    a: b:
    a
    // mapAttrs (
      name: value:
      if !hasAttr name a then
        value
      else if isAttrs value && isAttrs a.${name} then
        mergeSets a.${name} value
      else
        throw "`${name}' has conflicting definition values."
    ) b;
in
rec {
  str = {
    description = "string";
    check = isString;
  };
  bool = {
    description = "boolean";
    check = isBool;
  };
  int = {
    description = "signed integer";
    check = isInt;
  };
  ints.positive = {
    description = "positive integer, meaning >0";
    check = value: isInt value && value > 0;
  };
  package = {
    description = "package";
    check = value: isAttrs value && value ? outPath;
  };
  strMatching = pattern: {
    description = "string matching the pattern ${pattern}";
    check = value: isString value && match pattern value != null;
  };
  enum = values: {
    description = "one of ${concatStringsSep ", " (map toJSON values)}";
    check = value: elem value values;
  };
  nullOr = type: {
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
  };
  listOf = type: {
    description = "list of ${type.description}";
    check = value: isList value && all type.check value;
    merge = builtins.concatLists;
  };
  attrsOf = type: {
    description = "attribute set of ${type.description}";
    check = value: isAttrs value && all type.check (builtins.attrValues value);
    merge = foldl' mergeSets { };
  };
  # Whatever other modules declare: sets that are merged deeply, without mkIf and
  # mkMerge inside.
  sets = {
    description = "attribute set";
    check = value: isAttrs value && all (member: !(member ? _type)) (builtins.attrValues value);
    merge = foldl' mergeSets { };
  };
}
