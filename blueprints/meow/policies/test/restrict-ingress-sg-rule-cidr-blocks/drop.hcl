mock "tfplan/v2" {
  module {
    source = "mock-tfplan-drop.sentinel"
  }
}

test {
  rules = {
    main = true
  }
}
