# Filters of jq that jaq has not.
def IN(wanted): . as $item | any(wanted; . == $item);
def IN(items; wanted): any(items; IN(wanted));
def INDEX(items; key): reduce items as $item ({}; .[$item | key | tostring] = $item);
def INDEX(key): INDEX(.[]; key);
def toarray: if isarray then . else [.] end;
def trimstr($affix): ltrimstr($affix) | rtrimstr($affix);
def ascii: [.] | implode;
def @csv: map(
    if isstring then "\"" + (split("\"") | join("\"\"")) + "\""
    elif . == null then ""
    elif isarray or isobject then error("an array or object cannot be a field of @csv")
    else tostring end
  ) | join(",");
def @tsv: map(
    if isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
    elif . == null then ""
    elif isarray or isobject then error("an array or object cannot be a field of @tsv")
    else tostring end
  ) | join("\t");
